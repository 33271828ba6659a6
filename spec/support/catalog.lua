-- Every public call of halo.fs, of File and of Dir, by what its first argument is: the specs of
-- errnos and of bad arguments are made of these tables, and one of them fails for a call that is
-- in none. How a call takes a path decides which errno it answers for each kind of bad path:
--
--     follow     it looks at what the path leads to
--     link       it looks at the name itself, be it a symbolic link
--     directory  as follow, and it must be one
--     tree       as link, and it must be a directory
--     make       the name must be free
--     write      what the path leads to is made where it is missing
--     replace    the name is taken, whatever has it

local halo = require "halo"
local fs = halo.fs

local catalog = {}

local function all_of(iterate)
  return function(...)
    for _ in iterate(...) do end
  end
end

---What is refused as the loop runs.
local in_loop = { walk = true }

---Calls whose first argument is a path. Further arguments are those of a call that would do.
--- says: the name in messages about bad arguments, where it is another one
--- raises: it has no place for nil, message and code
--- except: kinds of bad paths that it takes, or answers in its own way
catalog.paths = {
  { "open", "follow" },
  { "open", "write", "w", label = "open(w)" },
  { "create", "write" },
  { "stat", "follow" },
  { "stat", "follow", "size", label = "stat(field)" },
  { "lstat", "link" },
  { "lstat", "link", "mode", label = "lstat(field)" },
  { "statfs", "follow" },
  { "access", "follow", "r" },
  { "exists", "follow", except = { missing = true, inner = true, empty = true, through = true } },
  { "chmod", "follow", 420 },
  { "chown", "follow", 0, 0 },
  { "lchown", "link", 0, 0 },
  { "utime", "follow", 1, 2 },
  { "lutime", "link", 1, 2 },
  { "truncate", "follow", 0 },
  { "getxattr", "follow", "user.none" },
  { "setxattr", "follow", "user.none", "value" },
  { "listxattr", "follow" },
  { "removexattr", "follow", "user.none" },
  { "lgetxattr", "link", "user.none" },
  { "lsetxattr", "link", "user.none", "value" },
  { "llistxattr", "link" },
  { "lremovexattr", "link", "user.none" },
  { "remove", "link" },
  { "rmdir", "tree" },
  { "rmtree", "tree" },
  { "readlink", "link" },
  -- The C library resolves a path name by name, so that its length does not matter.
  { "realpath", "follow", except = { long_path = true } },
  { "mkdir", "make" },
  { "mkdir", "make", { parents = true }, label = "mkdir(parents)",
    except = { inner = true, long_path = true } },
  { "mkfifo", "make" },
  { "mknod", "make", "file" },
  { "readdir", "directory" },
  { "chdir", "directory" },
  { "at", "directory" },
  { "tempfile", "directory" },
  { "dir", "directory", raises = true },
  { "walk", "directory", raises = true },
  { "watch", "follow", raises = true },
  { "watch", "follow", { recursive = true }, label = "watch(recursive)", raises = true },
  { "readfile", "follow" },
  { "readfile_into", "follow", halo.buffer(1) },
  { "hash", "follow" },
  { "lines", "follow", raises = true },
  { "writefile", "write", "data" },
  { "writefile", "write", "data", { append = true }, label = "writefile(append)" },
  { "writefile", "write", "data", { atomic = true }, label = "writefile(atomic)" },
  { "writefile", "make", "data", { exclusive = true }, label = "writefile(exclusive)" },
  -- Random letters behind the template make a name, and "" is a template too.
  { "mkstemp", "make", prefix = true, except = { file = true, loop = true, empty = true } },
  { "mkdtemp", "make", prefix = true, except = { file = true, loop = true, empty = true } },
}

---Calls of two paths: how they take the first and the second.
--- names_from: a refusal of the first path names it alone
catalog.pairs = {
  { "rename", "link", "replace" },
  { "link", "link", "make" },
  { "symlink", "text", "make" },
  { "copy", "follow", "write" },
  { "copytree", "directory", "make", names_from = true, names_to = true },
  { "move", "link", "replace" },
}

---Those that a Dir has too, with paths that begin in the directory.
local function of_dir(list)
  local dir, found = assert(fs.at "/"), {}
  for _, entry in ipairs(list) do
    if dir[entry[1]] then
      found[#found + 1] = entry
    end
  end
  dir:close()
  return found
end

catalog.dir_paths, catalog.dir_pairs = of_dir(catalog.paths), of_dir(catalog.pairs)

---Calls whose first argument is a File; method: its names among the methods, where there are
---others than that of the function.
catalog.files = {
  { "close" },
  { "read", 1 },
  { "read", "a" },
  { "pread", 1, 0 },
  { "read_into", halo.buffer(1) },
  { "pread_into", halo.buffer(1), 1, 0 },
  { "flush" },
  { "setvbuf", "full" },
  { "readv", { halo.buffer(1) } },
  { "write", "x" },
  { "pwrite", "x", 0 },
  { "fsync" },
  { "fdatasync" },
  { "ftruncate", 0, methods = { "ftruncate", "truncate" } },
  { "fchmod", 420, methods = { "fchmod", "chmod" } },
  { "fchown", methods = { "fchown", "chown" } },
  { "futime", methods = { "futime", "utime" } },
  { "fallocate", 0, 1 },
  { "fadvise", "normal" },
  { "sync_file_range" },
  { "seek", "set", 0 },
  { "tell" },
  { "lock", "shared", 0 },
  { "unlock" },
  { "fstat", methods = { "fstat", "stat" } },
  { "statfs", by_path = true },
  { "getxattr", "user.none", by_path = true },
  { "setxattr", "user.none", "value", by_path = true },
  { "listxattr", by_path = true },
  { "removexattr", "user.none", by_path = true },
  { "hash", by_path = true },
  { "lines", by_path = true, raises = true },
}

---Public calls that answer no errno, and why.
catalog.exceptions = {
  glob = "what cannot be seen does not fit a pattern; EMFILE has a row of its own",
  poll = "what cannot be seen is not there",
  umask = "umask(2) always succeeds",
  sync = "sync(2) always succeeds",
  cwd = "ENOENT alone, which has a row of its own",
  ["File:is_open"] = "it asks halo alone",
  ["File:path"] = "it asks halo alone",
  ["File:fd"] = "it asks halo alone",
  ["Dir:close"] = "a row of its own",
  ["Dir:poll"] = "what cannot be seen is not there",
  ["Dir:glob"] = "as fs.glob",
  ["Dir:walk"] = "it raises in the loop, as fs.walk does: spec/fs_walk_spec.lua",
}

---A buffer is lent to one call at a time: each has its own.
local function own(value, ...)
  if select("#", ...) > 0 then
    return own(value), own(...)
  elseif type(value) == "userdata" and getmetatable(value) == "Buffer" then
    return halo.buffer(#value)
  end
  return value
end

---A row's call on a path or a file, with these arguments instead of its own where they are given.
---@return fun(subject: any): ...
function catalog.calling(row, from, owner)
  local name = row[1]
  local method, call = owner and owner[name], fs[name]
  if in_loop[name] then
    method, call = method and all_of(method), all_of(call)
  end
  local arguments = { unpack(row, from, table.maxn(row)) }
  local count = math.max(table.maxn(row) - from + 1, 0)
  if method then
    return function(subject)
      return method(owner, own(subject, unpack(arguments, 1, count)))
    end
  end
  return function(subject)
    return call(own(subject, unpack(arguments, 1, count)))
  end
end

return catalog
