local ffi = require "ffi"
local halo = require "halo"
require "spec.support.assertions"

ffi.cdef [[
  int pipe(int fds[2]);
  int close(int fd);
  long write(int fd, const void *data, size_t size);
]]
local C = ffi.C

describe("halo.poll", function()
  local from, to

  before_each(function()
    local fds = ffi.new "int[2]"
    assert(C.pipe(fds) == 0)
    from, to = fds[0], fds[1]
  end)

  after_each(function()
    C.close(from)
    C.close(to)
  end)

  it("waits until a descriptor can be read, while others run", function()
    local waiting = halo.spawn(halo.poll, from)
    halo.yield()
    assert.equal("waiting", (waiting:status()))
    C.write(to, "x", 1)
    assert.equal("r", waiting:join())
  end)

  it("tells what of several is ready", function()
    assert.equal("w", halo.poll(to, "w"))
    assert.equal("w", halo.poll(to, "rw", 9))
    C.write(to, "x", 1)
    assert.equal("r", halo.poll(from, "rw"))
  end)

  it("counts an end as ready", function()
    C.close(to)
    assert.equal("r", halo.poll(from, "r"))
    to = -1
  end)

  it("waits no longer than it is told to", function()
    assert.refused("ETIMEDOUT: timed out after 0.01 s", halo.poll(from, "r", 0.01))
    assert.refused("ETIMEDOUT: timed out after 0 s", halo.poll(from, "r", 0))
  end)

  it("works where a task cannot wait", function()
    local function on_the_spot(...)
      local arguments, results = { ... }, nil
      string.gsub("x", "x", function()
        results = { halo.poll(unpack(arguments)) }
      end)
      return unpack(results)
    end
    assert.refused("ETIMEDOUT: timed out after 0.01 s", on_the_spot(from, "r", 0.01))
    C.write(to, "x", 1)
    assert.equal("r", on_the_spot(from, "r", 9))
    assert.equal("r", on_the_spot(from))
  end)

  it("refuses what is no descriptor", function()
    for _, seconds in ipairs { false, 1 } do
      assert.refused("EBADF: bad file descriptor: 99999", halo.poll(99999, "r", seconds or nil))
    end
  end)

  it("says what it wants", function()
    local number = "bad argument #1 to 'poll' (a number from 0 to 2147483647 expected, got -1)"
    assert.misuse(number, function() halo.poll(-1) end)
    local letters = "bad argument #2 to 'poll' (\"r\", \"w\" or \"rw\" expected)"
    assert.misuse(letters, function() halo.poll(0, "x") end)
    assert.misuse(letters, function() halo.poll(0, "") end)
    assert.misuse(letters, function() halo.poll(0, "x", 1) end)
    assert.misuse(number, function() halo.poll(-1, "r", 1) end)
    assert.misuse("bad argument #3 to 'poll' (a number of seconds expected)",
      function() halo.poll(0, "r", -1) end)
  end)
end)
