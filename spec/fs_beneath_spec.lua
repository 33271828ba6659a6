-- A Dir that confines: nothing is reached through it that lies outside.

local halo = require "halo"
local fs = halo.fs
local beneath_cases = require "spec.support.beneath_cases"
local command = require "spec.support.command"
local denial = require "spec.support.denial"
local eventually = require "spec.support.eventually"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local CASES = "spec/support/beneath_cases.lua"

describe("a Dir that confines", function()
  local dir = temp.dir()
  local at

  before_each(function()
    local _, stderr, status = command.run(beneath_cases.script(dir.root))
    assert.equal("", stderr)
    assert.equal(0, status)
    at = assert(fs.at(dir:path "in", { beneath = true }))
  end)

  after_each(function()
    at:close()
  end)

  it("refuses every call each way out", function()
    local problems, count = beneath_cases.run(dir.root)
    assert.same({}, problems)
    assert.is_true(count > 500, count)
  end)

  it("does so with other tasks beside", function()
    local going = true
    local other = halo.spawn(function()
      while going do
        halo.yield()
      end
    end)
    local problems = beneath_cases.run(dir.root)
    going = false
    other:join()
    assert.same({}, problems)
  end)

  for _, code in ipairs { "ENOSYS", "EPERM" } do
    it("does so where openat2 is denied by " .. code, function()
      local deny_call, why_not = denial.program()
      if not deny_call then
        pending(why_not)
      end
      local output, stderr = command.run(command.quote(deny_call, "openat2", code) .. " "
        .. command.halo(CASES, dir.root))
      assert.equal("", stderr)
      assert.matches("^done %d+\n$", output)
    end)
  end

  it("does so for an ordinary user", function()
    if command.run "id -u" ~= "0\n" then
      pending "only root can become another user"
    end
    command.run(command.quote("chown", "-R", command.USER, dir.root))
    local output, stderr = command.run(command.as_user(command.halo(CASES, dir.root)))
    assert.equal("", stderr)
    assert.matches("^done %d+\n$", output)
  end)

  it("follows what stays inside", function()
    assert.equal("inside", at:readfile "file")
    assert.equal("inside", at:readfile "here/file")
    assert.equal("inside", at:readfile "dir/inside")
    assert.equal("inside", at:readfile "dir/../here/dir/deep/../../file")
    assert.equal("symlink", at:lstat("out_file", "type"))
    assert.equal("../out/file", at:readlink "out_file")
    assert.is_true(at:chmod("dir/inside", tonumber("640", 8)))
    assert.equal(tonumber("100640", 8), fs.stat(dir:path "in/file", "mode"))
    assert.is_true(at:writefile("dangling", "made"))
    assert.equal("made", fs.readfile(dir:path "in/new"))
    assert.is_true(at:writefile("dir/inside", "whole", { atomic = true }))
    assert.equal("whole", fs.readfile(dir:path "in/file"))
    assert.equal("symlink", at:lstat("dir/inside", "type"))
    assert.is_true(at:remove "out_file")
    assert.is_true(at:rename("out_dir", "dir/renamed"))
    assert.same({ "dir/deep", "dir/hop", "dir/inside", "dir/renamed" }, at:glob "dir/*")
    assert.same({ "dir/inside" }, at:glob "**/inside")
    assert.same({ "here/dir/inside" }, at:glob "here/**/inside")
    assert.is_true(at:mkdir "made/")
    assert.is_true(at:rmdir "made/")
    assert.refused("ENOENT: no such file or directory: ", at:stat "")
    assert.refused("ENOTDIR: not a directory: file/", at:lstat "file/")
    assert.refused("EISDIR: is a directory: dir", at:readfile "dir")
  end)

  it("refuses a pattern that is the root alone, as it does one that begins there", function()
    for _, pattern in ipairs { "/", "//", "/.", "/*", "/dir", "{/,dir}" } do
      local found, _, code = at:glob(pattern)
      assert.same({ nil, "EXDEV" }, { found, code }, pattern)
    end
    for _, pattern in ipairs { "/", "//" } do
      assert.same({ "/" }, fs.glob(pattern))
    end
    assert.same({}, fs.glob "")
  end)

  it("replaces what links inside lead to, by atomic writes", function()
    local atomic = { atomic = true, sync = false }
    assert(at:symlink("../made", "dir/dangling"))
    assert(at:symlink("dir/../dir/dangling", "chained"))
    assert.is_true(at:writefile("here/chained", "made", atomic))
    assert.equal("made", fs.readfile(dir:path "in/made"))
    assert.is_true(at:writefile("chained", "again", atomic))
    assert.equal("again", fs.readfile(dir:path "in/made"))
    assert.equal("symlink", at:lstat("chained", "type"))
    assert.equal("symlink", at:lstat("dir/dangling", "type"))
    for _, path in ipairs { "out_none", "out_file", "abs_file", "up/out/none" } do
      assert.equal("EXDEV", select(3, at:writefile(path, "x", atomic)), path)
    end
    assert.is_nil((fs.lstat(dir:path "out/none")))
    assert.equal("EISDIR", select(3, at:writefile("here", "x", atomic)))
    assert.equal("EEXIST", select(3, at:writefile("chained", "x", { atomic = true,
      exclusive = true })))
    local names = {}
    for name in at:dir "." do
      names[#names + 1] = name:match "^%.halo"
    end
    assert.same({}, names)
  end)

  it("is not needed for atomic writes through any link below a plain Dir", function()
    local plain = assert(fs.at(dir:path "in"))
    assert.is_true(plain:writefile("abs_file", "by link", { atomic = true, sync = false }))
    assert.equal("by link", fs.readfile(dir:path "out/file"))
    local file = assert(fs.open(dir:path "out/sub/file"))
    local magic = ("/proc/self/fd/%d"):format(file:fd())
    assert.is_true(plain:writefile(magic, "by magic", { atomic = true, sync = false }))
    assert.equal("by magic", fs.readfile(dir:path "out/sub/file"))
    file:close()
    plain:close()
  end)

  it("copies no tree into itself", function()
    for _, to in ipairs { "dir/copy", "dir/deep/copy", "here/dir/copy" } do
      assert.refused("EINVAL: a directory cannot be copied into itself: dir -> " .. to,
        at:copytree("dir", to))
    end
    assert.is_true(at:copytree("dir", "beside"))
    assert.equal("symlink", at:lstat("beside/hop", "type"))
  end)

  it("says where a path leads, as it was written", function()
    assert.refused("EXDEV: the path leads out of the directory, or to another file system: "
      .. "../out/file", at:readfile "../out/file")
    assert.refused("EXDEV: the path leads out of the directory, or to another file system: "
      .. "file -> up/x", at:rename("file", "up/x"))
  end)

  it("raises where a loop is to be made, naming the path", function()
    for _, method in ipairs { "lines", "dir" } do
      local ok, message = pcall(at[method], at, "../out")
      assert.is_false(ok)
      assert.matches("EXDEV: .*: %.%./out$", message)
      ok, message = pcall(at[method], at, "none")
      assert.is_false(ok)
      assert.matches("ENOENT: no such file or directory: none$", message)
    end
  end)

  it("confines what is copied and is no file", function()
    local core = require "halo.core"
    assert(fs.mkfifo(dir:path "in/fifo"))
    local inside = core.as_base(assert(core.open(core.AT_FDCWD, dir:path "in", 0)))
    core.confine(inside, core.confine_flags.beneath)
    local how = core.copy_flags.any + core.copy_flags.no_follow + core.copy_flags.exclusive
    local before = beneath_cases.outside(dir.root)
    for _, way in ipairs(beneath_cases.ways(dir.root)) do
      for _, name in ipairs { "fifo", "chain" } do
        local to = way .. "/copy"
        assert.equal("EXDEV", select(3, core.copyfile(inside, name, inside, to, how)), to)
      end
    end
    assert.equal(before, beneath_cases.outside(dir.root))
    assert.equal(0, core.copyfile(inside, "fifo", inside, "here/full/fifo", how))
    assert.equal("fifo", fs.lstat(dir:path "in/full/fifo", "type"))
    assert.is_true(fs.remove(dir:path "in/fifo"))
    core.close(inside)
  end)

  it("hands its confinement on", function()
    local inner = assert(at:at "dir")
    assert.refused("EXDEV: the path leads out of the directory, or to another file system: ../file",
      inner:readfile "../file")
    assert.equal("EXDEV", select(3, inner:at "deep/../.."))
    inner:close()
    local opened = assert(at:open("dir", fs.flags.DIRECTORY))
    inner = assert(fs.at(opened))
    assert.equal("EXDEV", select(3, inner:stat ".."))
    assert.equal("EXDEV", select(3, inner:stat "hop"))
    opened:close()
    inner:close()
  end)

  it("begins where a Dir that does not confine is asked to", function()
    local plain = assert(fs.at(dir.root))
    assert.equal("secret", plain:readfile "in/out_file")
    local inner = assert(plain:at("in", { beneath = true }))
    assert.equal("EXDEV", select(3, inner:readfile "out_file"))
    assert.equal("secret", plain:readfile "in/out_file")
    inner:close()
    plain:close()
  end)

  it("leaves out magic links", function()
    local proc = assert(fs.at("/proc/self", { beneath = true }))
    assert.equal("symlink", proc:lstat("root", "type"))
    for _, path in ipairs { "root", "root/etc", "cwd", "exe", "fd/0", "ns/mnt" } do
      for _, call in ipairs { "stat", "open", "readfile", "access", "readdir", "at", "statfs" } do
        local value, _, code = proc[call](proc, path)
        assert.is_nil(value, call .. " " .. path)
        assert.equal("ELOOP", code, call .. " " .. path)
      end
    end
    assert.is_truthy(proc:readfile "comm")
    proc:close()
  end)

  it("leaves out mounts where asked", function()
    local root = assert(fs.at("/", { beneath = true, mounts = false }))
    for _, call in ipairs { "stat", "readdir", "access", "at" } do
      assert.equal("EXDEV", select(3, root[call](root, "proc")), call)
    end
    assert.equal("EXDEV", select(3, root:readfile "proc/version"))
    assert.equal("EXDEV", select(3, root:lstat "proc/version"))
    assert.equal("dir", root:stat("etc", "type"))
    local etc = assert(root:at "etc")
    assert.is_truthy(etc:readdir())
    etc:close()
    root:close()
    root = assert(fs.at("/", { beneath = true }))
    assert.equal("file", root:stat("proc/version", "type"))
    root:close()
  end)

  it("refuses all once it is closed", function()
    local other = assert(fs.at(dir:path "in", { beneath = true }))
    other:close()
    for _, call in ipairs { "stat", "lstat", "readfile", "open", "readdir", "remove", "access" } do
      assert.equal("EBADF", select(3, other[call](other, "file")), call)
    end
    assert.equal("EBADF", select(3, other:glob "*"))
    assert.equal("EBADF", select(3, other:writefile("file", "x", { atomic = true })))
  end)

  it("takes no other options", function()
    assert.misuse("bad argument #2 to 'at' (no option 'below', but beneath, mounts)",
      function() fs.at("/", { below = true }) end)
    assert.misuse("bad argument #2 to 'at' (mounts = false goes with beneath = true)",
      function() fs.at("/", { mounts = false }) end)
    local inner = assert(at:at("dir", { mounts = false, beneath = false }))
    assert.equal("EXDEV", select(3, inner:stat "hop"))
    inner:close()
  end)

  -- What a Dir without that says of the same.
  it("takes dots, slashes and lengths in a path as the kernel does", function()
    local plain = assert(fs.at(dir:path "in"))
    local long = ("./"):rep(2046)
    local paths = { ".", "..", "./", "dir/.", "dir/..", "dir/../", "dir/deep/..", "none/..", ".x",
      "..x", "dir//", "here/", "full/.", "full/", "", long .. "dir", long .. "dir/deep",
      ("./"):rep(2048) .. "dir", ("x"):rep(255), ("x"):rep(256) }
    local calls = {
      rmdir = function(base, path) return base:rmdir(path) end,
      remove = function(base, path) return base:remove(path) end,
      mkdir = function(base, path) return base:mkdir(path) end,
      mkfifo = function(base, path) return base:mkfifo(path) end,
      rename = function(base, path) return base:rename(path, "renamed") end,
      rename_to = function(base, path) return base:rename("full", path) end,
      link = function(base, path) return base:link("file", path) end,
      symlink = function(base, path) return base:symlink("file", path) end,
      lstat = function(base, path) return base:lstat(path, "type") end,
      stat = function(base, path) return base:stat(path, "type") end,
      readdir = function(base, path)
        local entries, message, code = base:readdir(path)
        return entries and #entries, message, code
      end,
      walk = function(base, path)
        local count = 0
        local ok, message = pcall(function()
          for _ in base:walk(path, { stat = "size", depth = 1 }) do
            count = count + 1
          end
        end)
        return ok and count or nil, message, tostring(message):match "E%u+"
      end,
    }
    local function renew()
      at:close()
      plain:close()
      command.run(("rm -rf '%s/in' '%s/out'"):format(dir.root, dir.root))
      command.run(beneath_cases.script(dir.root))
      plain = assert(fs.at(dir:path "in"))
      at = assert(fs.at(dir:path "in", { beneath = true }))
    end
    local different = {}
    for name, call in pairs(calls) do
      for _, path in ipairs(paths) do
        local results = {}
        for i = 1, 2 do
          local value, _, code = call(i == 1 and plain or at, path)
          results[i] = tostring(value or code)
          if value == true then -- it has changed something
            renew()
          end
        end
        if results[1] ~= results[2] and not (path == ".." and results[2] == "EXDEV") then
          table.insert(different, ("%s %.20s %d: %s, not %s"):format(name, path, #path, results[2],
            results[1]))
        end
      end
    end
    plain:close()
    assert.same({}, different)
  end)

  it("takes back what was made for nobody, inside", function()
    local made, ended = 0, 0
    assert(at:mkdir "made")
    for i = 1, tasks.rounds(200) do
      local task = halo.spawn(at.open, at, ("here/made/%d"):format(i), "wx")
      for _ = 1, i % 3 do
        halo.yield()
      end
      task:cancel()
      local ok, file = pcall(task.join, task)
      if ok then
        made = made + 1
        assert(file):close()
      else
        ended = ended + 1
      end
    end
    eventually("the names of what nobody got are gone", function()
      return halo.stats().in_flight == 0 and made == #at:readdir "made"
    end)
  end)
end)
