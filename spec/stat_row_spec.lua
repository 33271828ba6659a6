-- The stats of a row that a walk has, which lie in memory of C's.

local halo = require "halo"
local stat = require "halo.fs.stat"

describe("a stat of a row", function()
  it("is read within the row", function()
    for _, i in ipairs { 0, -1, 99, 0 / 0, math.huge } do
      assert.is_false(pcall(stat.at, newproxy(), i))
    end
    assert.is_false(pcall(stat.at, io.stdout, 1))
    assert.is_false(pcall(stat.at, "text", 0))
    assert.is_false(pcall(stat.at, halo.buffer(1), 1000))
  end)
end)
