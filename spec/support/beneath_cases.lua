-- Each call of a Dir by each way out of it. A program of its own, too, for where openat2 is denied
-- or the user is another one:
--
--     beneath_cases.lua ROOT         prints what went wrong, then "done" and how many were tried
--
-- ROOT has been made by make(): the directory "in" that confines, and "out" beside it.

local halo = require "halo"
local fs = halo.fs

local cases = {}

---Makes ROOT, by the shell.
function cases.script(root)
  return ([[cd '%s' && mkdir -p in/dir/deep in/full out/sub out/full && chmod 755 . &&
    printf inside >in/file && printf secret >out/file && printf secret >out/sub/file &&
    : >out/full/x && ln -s file out/link &&
    ln -s ../out in/out_dir && ln -s ../out/file in/out_file &&
    ln -s '%s/out' in/abs_dir && ln -s '%s/out/file' in/abs_file && ln -s dir/hop in/chain &&
    ln -s ../../out in/dir/hop && ln -s .. in/up && ln -s ../out/none in/out_none &&
    ln -s dir/.. in/here && ln -s ../here/file in/dir/inside && ln -s new in/dangling]])
    :format(root, root, root)
end

---What is outside, with all that a call could change.
function cases.outside(root)
  local format = "%p %y %m %U %n %s %T@ %l\\n"
  local pipe = assert(io.popen(("find '%s/out' -printf '%s' | sort"):format(root, format)))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

---Where "out" is, as one may try to say it.
function cases.ways(root)
  return { "../out", root .. "/out", "dir/../../out", "out_dir", "abs_dir", "chain", "up/out",
    "dir/hop", "here/out_dir", "./dir/deep/../../../out" }
end

---Those to a file, which only the last name leads out by.
function cases.last_links()
  return { "out_file", "abs_file", "here/out_file", "dir/../abs_file" }
end

local buffer = halo.buffer(100)

local function all_of(iterate)
  return function(at, path)
    iterate(at, path)()
    return true
  end
end

---The methods of those that are not named for theirs, and may be missing.
local methods = {
  hash = "hash", watch = "watch", watch_tree = "watch", walk = "walk", walk_links = "walk",
  move_from = "move", move_to = "move", move_dir = "move", copytree_from = "copytree",
  copytree_to = "copytree", merge_to = "copytree", rmtree = "rmtree", parents = "copytree",
}

---By a path to a file there, which has the name "file".
cases.on_file = {
  stat = function(at, path) return at:stat(path) end,
  open = function(at, path) return at:open(path) end,
  append = function(at, path) return at:open(path, "a") end,
  place = function(at, path) return at:open(path, fs.flags.PATH) end,
  create = function(at, path) return at:create(path) end,
  readfile = function(at, path) return at:readfile(path) end,
  readfile_into = function(at, path) return at:readfile_into(path, buffer) end,
  access = function(at, path) return at:access(path, "r") end,
  exists = function(at, path) return at:exists(path) end,
  chmod = function(at, path) return at:chmod(path, 511) end,
  chown = function(at, path) return at:chown(path, 12, 12) end,
  utime = function(at, path) return at:utime(path, 1, 1) end,
  truncate = function(at, path) return at:truncate(path, 1) end,
  statfs = function(at, path) return at:statfs(path) end,
  getxattr = function(at, path) return at:getxattr(path, "user.x") end,
  setxattr = function(at, path) return at:setxattr(path, "user.x", "x") end,
  listxattr = function(at, path) return at:listxattr(path) end,
  removexattr = function(at, path) return at:removexattr(path, "user.x") end,
  lines = all_of(function(at, path) return at:lines(path) end),
  copy_from = function(at, path) return at:copy(path, "copied") end,
  copy_to = function(at, path) return at:copy("file", path) end,
  writefile = function(at, path) return at:writefile(path, "x") end,
  appending = function(at, path) return at:writefile(path, "x", { append = true }) end,
  hash = function(at, path) return at:hash(path) end,
  watch = function(at, path) return at:watch(path) end,
  atomic = function(at, path) return at:writefile(path, "x", { atomic = true }) end,
  keeping = function(at, path) return at:writefile(path, "x", { atomic = true, xattrs = true }) end,
}

---By a path to a name there, which is not followed itself.
cases.on_name = {
  lstat = function(at, path) return at:lstat(path) end,
  lchown = function(at, path) return at:lchown(path, 12, 12) end,
  lutime = function(at, path) return at:lutime(path, 1, 1) end,
  remove = function(at, path) return at:remove(path) end,
  rename_from = function(at, path) return at:rename(path, "renamed") end,
  move_from = function(at, path) return at:move(path, "moved") end,
  move_to = function(at, path) return at:move("file", path) end,
  rename_to = function(at, path) return at:rename("file", path) end,
  exchange = function(at, path) return at:rename("file", path, { exchange = true }) end,
  link_from = function(at, path) return at:link(path, "linked") end,
  link_to = function(at, path) return at:link("file", path .. "2") end,
  symlink = function(at, path) return at:symlink("x", path .. "2") end,
  mkdir = function(at, path) return at:mkdir(path .. "2") end,
  mkfifo = function(at, path) return at:mkfifo(path .. "2") end,
  mknod = function(at, path) return at:mknod(path .. "2", "socket") end,
  exclusive = function(at, path) return at:open(path .. "2", "wx") end,
  new = function(at, path) return at:writefile(path .. "2", "x", { exclusive = true }) end,
  mkstemp = function(at, path) return at:mkstemp(path) end,
  mkdtemp = function(at, path) return at:mkdtemp(path) end,
}

---By a path to a directory there, which has the name "sub".
cases.on_dir = {
  readdir = function(at, path) return at:readdir(path) end,
  walk = all_of(function(at, path) return at:walk(path) end),
  walk_links = all_of(function(at, path) return at:walk(path, { follow = true }) end),
  watch_tree = function(at, path) return at:watch(path, { recursive = true }) end,
  copytree_from = function(at, path) return at:copytree(path, "copied") end,
  copytree_to = function(at, path) return at:copytree("full", path) end,
  merge_to = function(at, path) return at:copytree("dir", path, { merge = true }) end,
  rmtree = function(at, path) return at:rmtree(path) end,
  parents = function(at, path) return at:mkdir(path .. "/a/b", { parents = true }) end,
  move_dir = function(at, path) return at:move(path, "moved") end,
  dir = all_of(function(at, path) return at:dir(path) end),
  at = function(at, path) return at:at(path) end,
  rmdir = function(at, path) return at:rmdir(path) end,
  tempfile = function(at, path) return at:tempfile(path) end,
  glob = function(at, path) return at:glob(path .. "/*") end,
  glob_in = function(at, path) return at:glob("*", { dir = path }) end,
  readlink = function(at, path) return at:readlink(path .. "/../link") end,
}

---Tries one call. Returns what is wrong with what it did, or nothing.
local function try(name, call, at, path)
  local ok, value, message, code = pcall(call, at, path)
  if not ok then
    message, value = tostring(value), nil
    code = message:match "E%u+"
  end
  if value ~= nil or (code ~= "EXDEV" and code ~= "ELOOP") then
    return ("%s of %s: %s %s"):format(name, path, tostring(value), tostring(message))
  elseif not message:find(path:match "[^/]*", 1, true) then
    return ("%s of %s does not name it: %s"):format(name, path, message)
  end
end

---@return string[] problems
---@return integer count of the calls that were tried
function cases.run(root)
  local at = assert(fs.at(root .. "/in", { beneath = true }))
  local problems, count = {}, 0
  local function try_all(calls, path)
    for name, call in pairs(calls) do
      if not methods[name] or at[methods[name]] then
        count = count + 1
        table.insert(problems, (try(name, call, at, path)))
      end
    end
  end
  local before = cases.outside(root)
  for _, way in ipairs(cases.ways(root)) do
    try_all(cases.on_file, way .. "/file")
    try_all(cases.on_name, way .. "/file")
    try_all(cases.on_dir, way .. "/sub")
  end
  for _, path in ipairs(cases.last_links()) do
    try_all(cases.on_file, path)
  end
  if cases.outside(root) ~= before then
    table.insert(problems, "what is outside has changed: " .. cases.outside(root))
  end
  at:close()
  return problems, count
end

if arg and arg[0] and arg[0]:match "beneath_cases%.lua$" then
  local problems, count = cases.run(arg[1])
  print(table.concat(problems, "\n") .. "done " .. count)
end

return cases
