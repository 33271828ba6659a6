-- What is refused to an ordinary user, and to a process that has come to a limit. A child of the
-- spec runs these rows, so that nothing in here knows of busted. Each is a call, its code, what its
-- message is about (a field of t, or two), and what calls it.

local catalog = require "spec.support.catalog"
local fs = require "halo.fs"
local on_file = require "spec.support.on_file"

local flags = fs.flags

local rows = {}

---The directory that the spec has made for the child, in which root and the user have things.
---@return table
function rows.fixture(root)
  local t = {
    root = root,
    locked = root .. "/locked", -- root's alone
    inside = root .. "/locked/inside",
    fixed = root .. "/fixed", -- root's, to be read by all
    fixed_file = root .. "/fixed/file",
    fixed_dir = root .. "/fixed/dir",
    fixed_new = root .. "/fixed/new",
    secret = root .. "/fixed/secret", -- root's alone, in there
    sticky = root .. "/sticky", -- as /tmp
    sticky_file = root .. "/sticky/file",
    sticky_dir = root .. "/sticky/dir",
    own = root .. "/own", -- the user's
    own_file = root .. "/own/file",
    own_new = root .. "/own/new",
    own_copy = root .. "/own/copy",
    own_closed = root .. "/own/tree/closed", -- which the user has closed to itself
    own_tree = root .. "/own/tree",
    big = root .. "/fixed/big", -- of more bytes than a child's files may have
  }
  return t
end

---Makes it all; what it prints is why it could not.
function rows.script(root, user)
  return ([[cd '%s' && chmod 755 . && mkdir locked fixed fixed/dir sticky sticky/dir own own/tree \
    own/tree/closed && : >locked/inside && : >fixed/file && : >fixed/secret && : >sticky/file &&
    : >own/file && : >own/tree/closed/x &&
    printf %%8192s x >fixed/big && chmod 700 locked && chmod 600 fixed/secret &&
    chmod 1777 sticky && chmod 0 own/tree/closed && chown -R %d:%d own]]):format(root, user, user)
end

-- ---- one path -----------------------------------------------------------------------------------

local function add(list, name, code, about, call, extra)
  local row = { name, code, about, call }
  for key, value in pairs(extra or {}) do
    row[key] = value
  end
  list[#list + 1] = row
end

---Rows of each call in the table that takes its path in one of these ways, or has such a name.
local function add_paths(list, t, code, subject, ways, except)
  for _, entry in ipairs(catalog.paths) do
    local name = entry.label or entry[1]
    if (ways[entry[2]] or ways[name]) and not (except and except[name]) then
      add(list, "fs." .. name, code, subject, function()
        return catalog.calling(entry, 3)(t[subject])
      end, { prefix = entry.prefix, raises = entry.raises })
    end
  end
end

---The same of a Dir, which is at(): the path is below the root.
local function add_dir_paths(list, t, at, code, subject, ways)
  for _, entry in ipairs(catalog.dir_paths) do
    local name = entry.label or entry[1]
    if ways[entry[2]] or ways[name] then
      local path = t[subject]:sub(#t.root + 2)
      add(list, "Dir:" .. name, code, subject, function()
        return catalog.calling(entry, 3, at())(path)
      end, { about = path, prefix = entry.prefix, raises = entry.raises })
    end
  end
end

local all_ways = {
  follow = true, link = true, directory = true, tree = true, make = true, write = true,
}
local new_ways = { make = true, write = true }

-- ---- an ordinary user ---------------------------------------------------------------------------

---@return table[]
function rows.of_user(t)
  local list, at = {}, nil

  local function dir()
    at = at or assert(fs.at(t.root))
    return at
  end

  local with_file = on_file(t, "fixed_file", "r")

  -- The way there is closed, whatever the call would do.
  add_paths(list, t, "EACCES", "inside", all_ways)
  add_dir_paths(list, t, dir, "EACCES", "inside", all_ways)
  for _, entry in ipairs(catalog.pairs) do
    local call = fs[entry[1]]
    if entry[2] ~= "text" then
      add(list, "fs." .. entry[1], "EACCES",
        entry.names_from and "inside" or "inside -> own_new",
        function() return call(t.inside, t.own_new) end)
    end
    local from = entry[1] == "copytree" and "fixed_dir" or "own_file"
    add(list, "fs." .. entry[1], "EACCES", entry.names_to and "inside" or from .. " -> inside",
      function() return call(t[from], t.inside) end)
  end

  -- A directory that may not be changed.
  add_paths(list, t, "EACCES", "fixed_new", new_ways)
  add_dir_paths(list, t, dir, "EACCES", "fixed_new", new_ways)
  add(list, "fs.tempfile", "EACCES", "fixed", function() return fs.tempfile(t.fixed) end)
  add(list, "fs.rmdir", "EACCES", "fixed_dir", function() return fs.rmdir(t.fixed_dir) end)
  add(list, "fs.rmtree", "EACCES", "fixed_dir", function() return fs.rmtree(t.fixed_dir) end)
  add(list, "fs.remove", "EACCES", "fixed_file", function() return fs.remove(t.fixed_file) end)
  add(list, "fs.rename", "EACCES", "fixed_file -> own_new",
    function() return fs.rename(t.fixed_file, t.own_new) end)
  add(list, "fs.rename", "EACCES", "own_file -> fixed_new",
    function() return fs.rename(t.own_file, t.fixed_new) end)
  add(list, "fs.symlink", "EACCES", "own_file -> fixed_new",
    function() return fs.symlink(t.own_file, t.fixed_new) end)
  add(list, "fs.copy", "EACCES", "own_file -> fixed_new",
    function() return fs.copy(t.own_file, t.fixed_new) end)

  -- A file that may not be changed.
  add_paths(list, t, "EACCES", "fixed_file", {
    ["open(w)"] = true, create = true, truncate = true, writefile = true,
    ["writefile(append)"] = true, ["writefile(atomic)"] = true, setxattr = true,
    removexattr = true,
  })
  add(list, "fs.open(r+)", "EACCES", "fixed_file",
    function() return fs.open(t.fixed_file, "r+") end)
  add(list, "fs.access(w)", "EACCES", "fixed_file",
    function() return fs.access(t.fixed_file, "w") end)
  add(list, "fs.access(x)", "EACCES", "own_file", function() return fs.access(t.own_file, "x") end)
  add(list, "fs.copy", "EACCES", "own_file -> fixed_file",
    function() return fs.copy(t.own_file, t.fixed_file) end)
  add(list, "fs.utime(now)", "EACCES", "fixed_file",
    function() return fs.utime(t.fixed_file, "now", "now") end)
  add(list, "File:utime(now)", "EACCES", "fixed_file",
    with_file(function(file) return file:utime("now", "now") end))
  add(list, "File:setxattr", "EACCES", "fixed_file",
    with_file(function(file) return file:setxattr("user.x", "x") end))
  add(list, "File:removexattr", "EACCES", "fixed_file",
    with_file(function(file) return file:removexattr "user.x" end))

  -- One that may not be read.
  add_paths(list, t, "EACCES", "secret", {
    open = true, access = true, getxattr = true, readfile = true, readfile_into = true,
    lines = true, watch = true, hash = true,
  })
  add(list, "fs.copy", "EACCES", "secret -> own_new",
    function() return fs.copy(t.secret, t.own_new) end)

  -- A directory that may not be entered or read.
  add_paths(list, t, "EACCES", "locked", {
    readdir = true, chdir = true, dir = true, walk = true, watch = true, tempfile = true,
  })
  add(list, "fs.copytree", "EACCES", "locked",
    function() return fs.copytree(t.locked, t.own_copy) end)
  add(list, "fs.rmtree, of it all", "EACCES", "own_closed",
    function() return fs.rmtree(t.own_tree) end)

  -- What only the owner may change, or root give away.
  add_paths(list, t, "EPERM", "fixed_file", {
    chmod = true, chown = true, lchown = true, utime = true, lutime = true,
  })
  add_dir_paths(list, t, dir, "EPERM", "fixed_file", {
    chmod = true, chown = true, lchown = true, utime = true, lutime = true,
  })
  add(list, "File:chmod", "EPERM", "fixed_file",
    with_file(function(file) return file:chmod(420) end))
  add(list, "File:chown", "EPERM", "fixed_file",
    with_file(function(file) return file:chown(0, 0) end))
  add(list, "File:utime", "EPERM", "fixed_file",
    with_file(function(file) return file:utime(1, 2) end))
  add(list, "fs.chown, to give it away", "EPERM", "own_file",
    function() return fs.chown(t.own_file, 0) end)
  add(list, "fs.chown, of the group", "EPERM", "own_file",
    function() return fs.chown(t.own_file, nil, 0) end)
  add(list, "fs.open(NOATIME)", "EPERM", "fixed_file",
    function() return fs.open(t.fixed_file, flags.NOATIME) end)
  add(list, "fs.mknod(char)", "EPERM", "own_new",
    function() return fs.mknod(t.own_new, "char", 420, 1, 3) end)
  add(list, "fs.mknod(block)", "EPERM", "own_new",
    function() return fs.mknod(t.own_new, "block", 420, 7, 0) end)
  add(list, "fs.setxattr(trusted)", "EPERM", "own_file",
    function() return fs.setxattr(t.own_file, "trusted.x", "x") end)

  -- A directory such as /tmp.
  add(list, "fs.remove", "EPERM", "sticky_file", function() return fs.remove(t.sticky_file) end)
  add(list, "fs.rmdir", "EPERM", "sticky_dir", function() return fs.rmdir(t.sticky_dir) end)
  add(list, "fs.rmtree", "EPERM", "sticky_dir", function() return fs.rmtree(t.sticky_dir) end)
  add(list, "fs.rename", "EPERM", "sticky_file -> own_new",
    function() return fs.rename(t.sticky_file, t.own_new) end)
  add(list, "fs.rename", "EPERM", "own_file -> sticky_file",
    function() return fs.rename(t.own_file, t.sticky_file) end)
  add(list, "fs.move", "EPERM", "sticky_file -> own_new",
    function() return fs.move(t.sticky_file, t.own_new) end)
  return list
end

-- ---- no more descriptors ------------------------------------------------------------------------

---Rows for a process that has opened as many files as it may.
---@return table[]
function rows.of_crowd(t)
  local list = {}
  add_paths(list, t, "EMFILE", "own", {
    open = true, readdir = true, at = true, dir = true, walk = true, tempfile = true, watch = true,
  })
  add_paths(list, t, "EMFILE", "own_file", {
    open = true, create = true, ["open(w)"] = true, readfile = true,
    readfile_into = true, hash = true, lines = true, writefile = true, ["writefile(append)"] = true,
    ["writefile(atomic)"] = true,
  })
  add_paths(list, t, "EMFILE", "own_new", { mkstemp = true })
  add(list, "fs.copy", "EMFILE", "own_file -> own_new",
    function() return fs.copy(t.own_file, t.own_new) end)
  add(list, "fs.copytree", "EMFILE", "own",
    function() return fs.copytree(t.own, t.sticky .. "/copy") end)
  add(list, "fs.glob", "EMFILE", "own", function() return fs.glob("*", { dir = t.own }) end,
    { about = function(paths) return paths.own .. "/" end })
  add(list, "fs.rmtree", "EMFILE", "own_tree", function() return fs.rmtree(t.own_tree) end)
  return list
end

-- ---- files that may not grow --------------------------------------------------------------------

---Rows for a process whose files may have 4096 bytes.
---@return table[]
function rows.of_small(t)
  local list, data = {}, ("x"):rep(8192)

  local with_file = on_file(t, "own_file", "w")

  local calls = {
    { "File:write", with_file(function(file) return file:write(data) end) },
    { "File:pwrite", with_file(function(file) return file:pwrite("x", 4096) end) },
    { "File:write(array)", with_file(function(file) return file:write { data, data } end) },
    { "File:truncate", with_file(function(file) return file:truncate(8192) end) },
    { "File:fallocate", with_file(function(file) return file:fallocate(0, 8192) end) },
    { "fs.truncate", function() return fs.truncate(t.own_file, 8192) end },
    { "fs.writefile", function() return fs.writefile(t.own_file, data) end },
    { "fs.writefile(append)",
      function() return fs.writefile(t.own_file, data, { append = true }) end },
    { "fs.writefile(atomic)",
      function() return fs.writefile(t.own_file, data, { atomic = true }) end },
  }
  for _, call in ipairs(calls) do
    add(list, call[1], "EFBIG", "own_file", call[2])
  end
  add(list, "fs.copy", "EFBIG", "big -> own_new", function() return fs.copy(t.big, t.own_new) end)
  return list
end

-- ---- inotify ------------------------------------------------------------------------------------

---@return table[]
function rows.of_blind(t)
  local list = {}
  add_paths(list, t, "ENOSPC", "fixed", { watch = true, ["watch(recursive)"] = true })
  return list
end

---@return table[]
function rows.of_deaf(t)
  local list = {}
  add_paths(list, t, "EMFILE", "fixed", { watch = true, ["watch(recursive)"] = true })
  return list
end

return rows
