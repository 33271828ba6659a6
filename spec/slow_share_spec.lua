-- What hangs in slow places has a share of the workers, and never all of them.

local fuse = require "spec.support.fuse"
local halo = require "halo"

local fs = halo.fs

local SLOW_MS = 150
local PROMPT_S = 0.1  -- what a local call takes at most
local HANGING = 40    -- more than there are workers

describe("slow places #slow", function()
  local mount, dir = fuse.mount(SLOW_MS)
  if not mount then
    it("leave some workers to the others", function()
      pending(dir)
    end)
    return
  end
  local other = assert(fuse.mount(SLOW_MS))

  ---Runs a local call that needs a worker while those tasks hang.
  local function assert_prompt_beside(hanging)
    halo.sleep(0.02)
    local start = halo.now()
    assert(fs.realpath(dir:path "file"))
    local took = halo.now() - start
    for _, task in ipairs(hanging) do
      task:cancel()
      pcall(task.join, task)
    end
    assert(took < PROMPT_S, ("a local call took %.2f s"):format(took))
  end

  it("leave some workers to the others, where many hang in two of them", function()
    dir:file "file"
    local in_flight, hanging = halo.stats().in_flight, {}
    for i = 1, 2 * HANGING do
      local place = i % 2 == 0 and mount or other
      hanging[i] = halo.spawn(function() pcall(fs.realpath, place.path .. "/file" .. i) end)
    end
    assert_prompt_beside(hanging)
    fuse.await_answers(in_flight)
  end)

  it("leave some workers to the others, where many files are closed", function()
    dir:file "file"
    local numbers, hanging = {}, {}
    for i = 1, HANGING do
      numbers[i] = i
    end
    local files = halo.map(numbers, function(i)
      return assert(fs.open(mount.path .. "/file" .. i))
    end)
    local in_flight = halo.stats().in_flight
    for i, file in ipairs(files) do
      hanging[i] = halo.spawn(function() file:close() end)
    end
    assert_prompt_beside(hanging)
    fuse.await_answers(in_flight)
  end)
end)
