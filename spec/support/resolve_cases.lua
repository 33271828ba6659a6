-- Opens by paths below a directory, confined in each way. A program:
--
--     resolve_cases.lua ROOT         prints what each gave, a line for each
--
-- ROOT has been made by script(). With openat2 and without it the lines have to be the same.

local cases = {}

---Makes ROOT, by the shell. Its directory "in" is what confines.
function cases.script(root)
  return ([[cd '%s' && mkdir -p in/dir/deep in/sticky out && printf x >in/file &&
    printf x >out/file && printf x >in/dir/file && cd in &&
    ln -s file link && ln -s link link2 && ln -s dir dirlink && ln -s loop loop &&
    ln -s none dangling && ln -s none/ dangling_dir && ln -s '%s/out' abs && ln -s .. up &&
    ln -s ../out out && ln -s dir/../file around && ln -s ./dir/deep/.. deep && ln -s / root &&
    ln -s file/ file_slash && ln -s 'odd:name' odd && : >odd:name &&
    ln -s ../file dir/back && chmod 1777 sticky && ln -s ../file sticky/own &&
    ln -s ../file sticky/others && chown -h 12 sticky/others 2>/dev/null; true]])
    :format(root, root)
end

local function paths(root)
  local list = {
    "file", "./file", "dir", "dir/", "dir/.", "dir/./file", "dir//file", ".", "./", "..", "../",
    "dir/..", "dir/../file", "dir/deep/../../file", "dir/deep/../../../out/file", "../in/file",
    "../out/file", "file/", "file/x", "file/..", "none", "none/", "none/x", "none/..", "dir/none",
    "", "/", "//", root .. "/in/file", root .. "/out/file", "link", "link/", "link2", "dirlink",
    "dirlink/", "dirlink/file", "dirlink/none", "dirlink/../file", "loop", "loop/", "loop/x",
    "dangling", "dangling/", "dangling_dir", "abs", "abs/", "abs/file", "up", "up/", "up/file",
    "up/in/file", "out", "out/file", "around", "deep", "deep/file", "root", "root/etc",
    "file_slash", "odd", "dir/back", "dir/back/", "sticky/own", "sticky/others",
    ("n"):rep(255), ("n"):rep(256), ("n"):rep(256) .. "/x", ("d/"):rep(2047) .. "d",
    ("./"):rep(2040) .. "file", ("./"):rep(2048) .. "file",
  }
  for _, names in ipairs { "dir/deep/../", "dirlink/../", "link/../" } do
    table.insert(list, names:rep(45) .. "file")
  end
  return list
end

local O = { WRONLY = 1, RDWR = 2, CREAT = 64, EXCL = 128, DIRECTORY = 65536, NOFOLLOW = 131072,
  PATH = 2097152 }
local flags = { 0, O.RDWR, O.RDWR + O.CREAT, O.RDWR + O.CREAT + O.EXCL, O.NOFOLLOW, O.PATH,
  O.PATH + O.NOFOLLOW, O.DIRECTORY, O.PATH + O.DIRECTORY, O.CREAT + O.NOFOLLOW + O.WRONLY }

-- What an opening has made is not there for the next one.
local function clear(root)
  for _, name in ipairs { "none", "dir/none", ("n"):rep(255), "../file" } do
    os.remove(root .. "/in/" .. name)
  end
end

-- On the pool, since the ring's own openat2 is not denied with the system call.
local function run(root)
  local core = require "spec.support.core"
  local posix = require "spec.support.posix"
  local lib = core.lib
  local loop = assert(core.create "pool")

  local function open(base, path, wanted)
    local op = core.op(loop, lib.HALO_OP_OPEN, path)
    op.base, op.flags, op.mode = base, wanted, 384
    local result = core.perform(loop, op)
    local file = op.file
    lib.halo_op_release(loop, op)
    if result < 0 then
      return tostring(result)
    end
    local where = posix.readlink("/proc/self/fd/" .. lib.halo_file_fd(loop, file))
    core.result(loop, core.file_op(loop, lib.HALO_OP_CLOSE, file))
    return where
  end

  for how = 1, 7 do
    local base = core.open(loop, root .. "/in", O.PATH + O.DIRECTORY)
    assert(lib.halo_file_confine(loop, base, how) == 0)
    for _, path in ipairs(paths(root)) do
      for _, wanted in ipairs(flags) do
        clear(root)
        print(how, path:sub(1, 60), wanted, open(base, path, wanted))
      end
    end
    base = core.open(loop, "/", O.PATH + O.DIRECTORY)
    assert(lib.halo_file_confine(loop, base, how) == 0)
    for _, path in ipairs { "proc", "proc/stat", "proc/self/cwd", "proc/self/cwd/x", "dev/null" } do
      print(how, path, 0, open(base, path, O.PATH))
    end
    -- Another mount than the root's, wherever ROOT is.
    base = core.open(loop, "/proc", O.PATH + O.DIRECTORY)
    assert(lib.halo_file_confine(loop, base, how) == 0)
    for _, path in ipairs { "/", "/etc", "/etc/passwd", "/proc", "/proc/stat", "stat", ".." } do
      print("of /proc", how, path, open(base, path, O.PATH))
    end
  end
  lib.halo_loop_close(loop, 1000)
end

if arg and arg[0] and arg[0]:match "resolve_cases%.lua$" then
  run(arg[1])
end

return cases
