-- A program that has more rights than its caller, as one that is set-user-id, takes no orders from
-- the caller's environment.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run
local WHO = "ffi = require 'ffi'; ffi.cdef 'unsigned geteuid(void);'; print(ffi.C.geteuid())\n"

describe("the command, set-user-id,", function()
  local dir = temp.dir()

  ---Runs code by a copy that is root's and set-user-id, as another user with this environment, and
  ---sees what it prints.
  local function expect(environment, code, expected)
    if run "id -u" ~= "0\n" then
      return pending "only root can give a program its rights"
    end
    assert(os.execute(("cp %s %s && chmod 755 %s && chmod 4755 %s/halo"):format(
      quote(command.halo_bin), quote(dir:path "halo"), quote(dir.root), quote(dir.root))) == 0)
    local line = command.as_user(("env %s %s"):format(environment, quote(dir:path "halo", "-e",
      WHO .. code)))
    local stdout, stderr, status = run(line)
    if status == 0 and not stdout:find "^0\n" then
      return pending "set-user-id is not heeded here"
    end
    assert.equal("", stderr)
    assert.equal("0\n" .. expected, stdout)
  end

  it("makes temporary files where its own system says, and not TMPDIR", function()
    expect("TMPDIR=" .. dir:path "elsewhere", [[
      local file, path = halo.fs.mkstemp()
      halo.fs.remove(path)
      print(path:match "^/tmp/halo%-")]], "/tmp/halo-\n")
  end)

  it("looks for no modules where LUA_PATH and LUA_CPATH say", function()
    expect("LUA_PATH=/elsewhere/?.lua LUA_CPATH=/elsewhere/?.so",
      "print((package.path .. package.cpath):find '/elsewhere')", "nil\n")
  end)

  it("takes the engine that it would take anyway", function()
    expect("HALO_ENGINE=nonsense HALO_GC=stress", "print(halo.engine() ~= nil)", "true\n")
  end)
end)
