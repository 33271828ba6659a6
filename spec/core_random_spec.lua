-- Names that nobody guesses: core.random_name(), and what it does where getrandom(2) is refused, as
-- in containers.

local command = require "spec.support.command"
local core = require "halo.core"
local denial = require "spec.support.denial"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local quote, run = command.quote, command.run

describe("core.random_name", function()
  it("gives letters that every file system tells apart", function()
    for _, count in ipairs { 0, 1, 16, 255 } do
      local name = core.random_name(count)
      assert.equal(count, #name)
      assert.matches("^[a-z2-7]*$", name)
    end
    local letters = {}
    for _ = 1, 100 do
      for letter in core.random_name(100):gmatch "." do
        letters[letter] = (letters[letter] or 0) + 1
      end
    end
    for letter in ("abcdefghijklmnopqrstuvwxyz234567"):gmatch "." do
      assert.is_true(letters[letter] > 150 and letters[letter] < 500, letter) -- 312 are likely
    end
  end)

  it("gives no more than a name may have", function()
    assert.equal(255, #core.random_name(1000))
  end)

  it("does not give the same twice", function()
    local seen = {}
    for _ = 1, 1000 do
      local name = core.random_name(16)
      assert.is_nil(seen[name])
      seen[name] = true
    end
  end)

  it("takes a count", function()
    assert.misuse("bad argument #1 to 'random_name' (number expected, got no value)",
      function() core.random_name() end)
  end)
end)

describe("where getrandom is refused", function()
  local dir = temp.dir()
  local deny_call, why_not = denial.program()

  ---Runs halo under the denial, after what a shell has to do before.
  local function run_denied(code, before, script)
    if not deny_call then
      pending(why_not)
    end
    local line = quote(deny_call, "getrandom", code) .. " sh -c "
      .. quote(before .. 'exec "$@"') .. " - " .. command.halo("-e", script)
    return { run(line) }
  end

  for _, code in ipairs { "EPERM", "ENOSYS", "EINTR" } do
    it(("with %s, names are made all the same"):format(code), function()
      local script = ([[
        local dir, fs = %q, halo.fs
        assert(fs.mkstemp(dir .. "/XXXXXX")):close()
        assert(fs.mkdtemp(dir .. "/XXXXXX"))
        assert(fs.tempfile(dir)):close()
        assert(fs.writefile(dir .. "/file", "x", { atomic = true }))
        print(#fs.readdir(dir))]]):format(dir.root)
      assert.same({ "3\n", "", 0 }, run_denied(code, "", script))
    end)
  end

  it("and nothing else can be asked, that is told", function()
    local script = ([[
      local dir, fs, files, file = %q, halo.fs, {}, nil
      assert(fs.writefile(dir .. "/file", "x", { atomic = true }))
      repeat
        file = fs.open(dir, fs.flags.PATH)
        files[#files + 1] = file
      until not file
      print(select(2, fs.mkstemp(dir .. "/XXXXXX")), select(3, fs.mkdtemp(dir .. "/x")))
      print(select(2, require("halo.core").random_name(4)))]]):format(dir.root)
    local problem = "EMFILE: too many open files: /dev/urandom"
    assert.same({ ("%s\tEMFILE\n%s\tEMFILE\n"):format(problem, problem), "", 0 },
      run_denied("EPERM", "ulimit -n 48; ", script))
  end)
end)
