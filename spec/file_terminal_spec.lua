-- Files that are terminals.

local core = require "halo.core"
local ffi = require "ffi"
local fs = require "halo.fs"
local halo = require "halo"

ffi.cdef [[
  int posix_openpt(int flags);
  int grantpt(int fd);
  int unlockpt(int fd);
  int ptsname_r(int fd, char *name, size_t size);
  int tcgetattr(int fd, void *termios);
  int tcsetattr(int fd, int actions, const void *termios);
]]

local O_RDWR, O_NOCTTY = 2, 256
local ICANON = 2
local TCSADRAIN = 1
local LOCAL_FLAGS = 3 -- the place of c_lflag in a termios, by 32 bits

---A new terminal, and who is at the other end of it.
---@return halo.File terminal
---@return halo.File user
local function open_terminal()
  local user = ffi.C.posix_openpt(O_RDWR + O_NOCTTY)
  assert(user >= 0 and ffi.C.grantpt(user) == 0 and ffi.C.unlockpt(user) == 0)
  local name = ffi.new "char[64]"
  assert(ffi.C.ptsname_r(user, name, 64) == 0)
  local terminal = assert(fs.open(ffi.string(name), fs.flags.RDWR + fs.flags.NOCTTY))
  return terminal, assert(core.adopt(user, "user", true))
end

---Turns whether it gives whole lines.
local function toggle_lines(terminal)
  local settings = ffi.new "uint32_t[64]"
  assert(ffi.C.tcgetattr(terminal:fd(), settings) == 0)
  settings[LOCAL_FLAGS] = bit.bxor(settings[LOCAL_FLAGS], ICANON)
  assert(ffi.C.tcsetattr(terminal:fd(), TCSADRAIN, settings) == 0)
end

describe("a terminal", function()
  it("is waited for, whatever becomes of its settings meanwhile", function()
    local terminal, user = open_terminal()
    local reader = halo.spawn(function() return terminal:read(100) end)
    for _ = 1, 6 do
      for _ = 1, 3 do halo.sleep(0) end -- a turn of the loop or two, in which it is polled
      toggle_lines(terminal)
    end
    assert.equal("waiting", reader:status())
    user:write "typed\n"
    assert.equal("typed\n", reader:join())
    terminal:close()
    user:close()
  end)

  it("is left by a read that was cancelled, after that", function()
    local terminal, user = open_terminal()
    local reader = halo.spawn(function() return terminal:read(100) end)
    halo.sleep(0)
    toggle_lines(terminal)
    halo.sleep(0)
    reader:cancel()
    assert.is_false((pcall(reader.join, reader)))
    user:write "typed\n"
    assert.equal("typed\n", terminal:read(100))
    terminal:close()
    user:close()
  end)
end)
