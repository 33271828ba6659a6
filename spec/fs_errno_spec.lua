-- Which errno each call answers for a bad path, whichever engine carries it out: the kinds of bad
-- paths times the calls that take one, and then what only some calls know.

local halo = require "halo"
local catalog = require "spec.support.catalog"
local refusals = require "spec.support.refusals"

local fs = halo.fs
local flags = fs.flags

-- ---- every call, every kind of bad path ---------------------------------------------------------

-- By the way in which a call takes its path; where there is nothing, the call may succeed.
local answers = {
  missing = { follow = "ENOENT", link = "ENOENT", directory = "ENOENT", tree = "ENOENT" },
  loop = {
    follow = "ELOOP", directory = "ELOOP", write = "ELOOP", tree = "ENOTDIR", make = "EEXIST",
  },
  dangling = { follow = "ENOENT", directory = "ENOENT", tree = "ENOTDIR", make = "EEXIST" },
  file = { directory = "ENOTDIR", tree = "ENOTDIR", make = "EEXIST" },
}

-- Where the way to the name is at fault, it does not matter what becomes of the name.
for case, code in pairs {
  inner = "ENOENT", empty = "ENOENT", through = "ENOTDIR", in_loop = "ELOOP",
  long_name = "ENAMETOOLONG", long_path = "ENAMETOOLONG",
} do
  answers[case] = setmetatable({}, { __index = function() return code end })
end

local cases = {
  "missing", "inner", "empty", "through", "loop", "in_loop", "dangling", "file", "long_name",
  "long_path",
}

---What a dangling link is to a call is what a missing path is.
local function is_excepted(row, case)
  local except = row.except or {}
  return except[case] or case == "dangling" and (except.missing or except.file)
end

---The rows of one call of a path.
local function add_path_rows(rows, entry, owner)
  for _, case in ipairs(cases) do
    local code = answers[case][entry[2]]
    if code and not is_excepted(entry, case) then
      rows[#rows + 1] = {
        (owner and "Dir:" or "fs.") .. (entry.label or entry[1]), code, case, function(t)
          local subject = owner and t.below[case] or t[case]
          return catalog.calling(entry, 3, owner and t.at)(subject)
        end,
        below = owner, raises = entry.raises, prefix = entry.prefix,
      }
    end
  end
end

-- The text of a symbolic link is no path, but it has to be one.
answers.empty.text, answers.long_path.text = "ENOENT", "ENAMETOOLONG"

local function takes(way, case)
  if way == "text" then
    return rawget(answers[case], "text")
  end
  return answers[case][way]
end

---The rows of one call of two paths, of which one is as it should be.
local function add_pair_rows(rows, entry, owner)
  local name = entry[1]
  local good_from = { link = "file", follow = "file", directory = "full", text = "file" }
  local function add(from, to, code, about)
    rows[#rows + 1] = {
      (owner and "Dir:" or "fs.") .. name, code, about, function(t)
        local paths = owner and t.below or t
        if owner then
          return t.at[name](t.at, paths[from], paths[to])
        end
        return fs[name](paths[from], paths[to])
      end,
      below = owner, case = from .. " -> " .. to,
    }
  end
  for _, case in ipairs(cases) do
    local first, second = takes(entry[2], case), takes(entry[3], case)
    if first then
      add(case, "free", first, entry.names_from and case or case .. " -> free")
    end
    if second then
      local from = good_from[entry[2]]
      add(from, case, second, entry.names_to and case or from .. " -> " .. case)
    end
  end
end

describe("each call of halo.fs", function()
  local t = refusals.fixture()
  local rows = {}
  for _, entry in ipairs(catalog.paths) do
    add_path_rows(rows, entry)
  end
  for _, entry in ipairs(catalog.dir_paths) do
    add_path_rows(rows, entry, true)
  end
  for _, entry in ipairs(catalog.pairs) do
    add_pair_rows(rows, entry)
  end
  for _, entry in ipairs(catalog.dir_pairs) do
    add_pair_rows(rows, entry, true)
  end
  refusals.expand(t, rows)

  -- One that has company goes another way through the loop than one that is alone.
  it("answers the same among many others", function()
    halo.map(rows, function(row)
      if row[1] ~= "fs.chdir" then -- which is refused as long as there are others
        refusals.verify(t, row)
      end
    end, 128)
  end)

  it("leaves all as it was where it is refused", function()
    t.assert_unchanged()
  end)
end)

-- ---- what only some calls know ------------------------------------------------------------------

describe("a call of halo.fs", function()
  local t = refusals.fixture()

  refusals.expand(t, {
    -- open(2)
    { "fs.open(r+)", "EISDIR", "dir", function() return fs.open(t.dir, "r+") end },
    { "fs.open(w)", "EISDIR", "dir", function() return fs.open(t.dir, "w") end },
    { "fs.create", "EISDIR", "dir", function() return fs.create(t.dir) end },
    { "fs.open(wx)", "EEXIST", "file", function() return fs.open(t.file, "wx") end },
    { "fs.open(rx)", "EEXIST", "dangling", function() return fs.open(t.dangling, "rx") end },
    { "fs.open(ax)", "EEXIST", "loop", function() return fs.open(t.loop, "ax") end },
    { "fs.open(DIRECTORY)", "ENOTDIR", "file",
      function() return fs.open(t.file, flags.DIRECTORY) end },
    { "fs.open(NOFOLLOW)", "ELOOP", "link", function() return fs.open(t.link, flags.NOFOLLOW) end },
    { "fs.open(NOFOLLOW + DIRECTORY)", "ENOTDIR", "link",
      function() return fs.open(t.link, flags.NOFOLLOW + flags.DIRECTORY) end },
    { "fs.open(WRONLY + NONBLOCK)", "ENXIO", "fifo",
      function() return fs.open(t.fifo, flags.WRONLY + flags.NONBLOCK) end },
    { "fs.open", "ENXIO", "socket", function() return fs.open(t.socket) end },
    { "fs.open(TMPFILE)", "EINVAL", "dir", function() return fs.open(t.dir, flags.TMPFILE) end },
    -- io_uring looks at the path before the flags, the plain call the other way round.
    { "fs.open(TMPFILE)", "EINVAL", "empty", function() return fs.open("", flags.TMPFILE) end },
    { "fs.open(TMPFILE)", "EINVAL", "long_path",
      function() return fs.open(t.long_path, flags.TMPFILE) end },
    { "fs.open(TMPFILE + RDWR)", "ENOTDIR", "file",
      function() return fs.open(t.file, flags.TMPFILE + flags.RDWR) end },
    { "Dir:open(w)", "EISDIR", "dir", function() return t.at:open("dir", "w") end, below = true },
    { "Dir:open(NOFOLLOW)", "ELOOP", "link",
      function() return t.at:open("link", flags.NOFOLLOW) end, below = true },
    { "Dir:open(wx)", "EEXIST", "file", function() return t.at:open("file", "wx") end,
      below = true },
    { "Dir:create", "EISDIR", "dir", function() return t.at:create("dir") end, below = true },

    -- access(2), truncate(2)
    { "fs.exists", "ELOOP", "loop", function() return fs.exists(t.loop) end },
    { "fs.truncate", "EISDIR", "dir", function() return fs.truncate(t.dir, 0) end },
    { "fs.truncate", "EINVAL", "fifo", function() return fs.truncate(t.fifo, 0) end },

    -- unlink(2), rmdir(2)
    { "fs.remove", "EISDIR", "dir", function() return fs.remove(t.dir) end },
    { "Dir:remove", "EISDIR", "dir", function() return t.at:remove "dir" end, below = true },
    { "fs.remove", "ENOTDIR", "file/", function() return fs.remove(t.file .. "/") end,
      about = function() return t.file .. "/" end },
    { "fs.rmdir", "ENOTEMPTY", "full", function() return fs.rmdir(t.full) end },
    { "Dir:rmdir", "ENOTEMPTY", "full", function() return t.at:rmdir "full" end, below = true },
    { "fs.rmdir", "EINVAL", "dir/.", function() return fs.rmdir(t.dir .. "/.") end,
      about = function() return t.dir .. "/." end },
    { "fs.rmdir", "ENOTEMPTY", "dir/..", function() return fs.rmdir(t.dir .. "/..") end,
      about = function() return t.dir .. "/.." end },
    { "Dir:rmdir", "EINVAL", ".", function() return t.at:rmdir "." end, about = "." },
    { "fs.rmtree", "EINVAL", "dir/.", function() return fs.rmtree(t.dir .. "/.") end,
      about = function() return t.dir .. "/." end },
    { "fs.rmtree", "EINVAL", "/", function() return fs.rmtree "/" end, about = "/" },
    { "fs.rmtree", "ENOTDIR", "link", function() return fs.rmtree(t.link) end },

    -- mkdir(2), mknod(2)
    { "fs.mkdir", "EEXIST", "dir", function() return fs.mkdir(t.dir) end },
    { "fs.mkdir(parents)", "EEXIST", "fifo",
      function() return fs.mkdir(t.fifo, { parents = true }) end },
    { "fs.mkdir", "EEXIST", "/", function() return fs.mkdir "/" end, about = "/" },
    { "Dir:mkdir", "EEXIST", "dir", function() return t.at:mkdir "dir" end, below = true },
    { "fs.mkfifo", "EEXIST", "dir", function() return fs.mkfifo(t.dir) end },
    { "fs.mknod(socket)", "EEXIST", "socket", function() return fs.mknod(t.socket, "socket") end },

    -- link(2), symlink(2), readlink(2)
    { "fs.link", "EPERM", "dir -> free", function() return fs.link(t.dir, t.free) end },
    { "Dir:link", "EPERM", "dir -> free", function() return t.at:link("dir", "free") end,
      below = true },
    { "fs.link", "EEXIST", "file -> file", function() return fs.link(t.file, t.file) end },
    { "fs.symlink", "EEXIST", "file -> dir", function() return fs.symlink(t.file, t.dir) end },
    { "fs.readlink", "EINVAL", "file", function() return fs.readlink(t.file) end },
    { "fs.readlink", "EINVAL", "dir", function() return fs.readlink(t.dir) end },
    { "Dir:readlink", "EINVAL", "file", function() return t.at:readlink "file" end, below = true },

    -- rename(2)
    { "fs.rename", "EISDIR", "file -> dir", function() return fs.rename(t.file, t.dir) end },
    { "fs.rename", "ENOTDIR", "dir -> file", function() return fs.rename(t.dir, t.file) end },
    { "fs.rename", "ENOTEMPTY", "dir -> full", function() return fs.rename(t.dir, t.full) end,
      either = "EEXIST" },
    { "fs.rename", "EINVAL", "dir -> dir/inner",
      function() return fs.rename(t.dir, t.dir .. "/inner") end,
      about = function() return t.dir .. " -> " .. t.dir .. "/inner" end },
    { "fs.rename", "EBUSY", "dir/. -> free",
      function() return fs.rename(t.dir .. "/.", t.free) end,
      about = function() return t.dir .. "/. -> " .. t.free end },
    { "fs.rename(noreplace)", "EEXIST", "file -> link",
      function() return fs.rename(t.file, t.link, { noreplace = true }) end },
    { "fs.rename(exchange)", "ENOENT", "file -> free",
      function() return fs.rename(t.file, t.free, { exchange = true }) end },
    { "fs.rename(exchange)", "EINVAL", "full -> full/x",
      function() return fs.rename(t.full, t.full .. "/x", { exchange = true }) end,
      about = function() return t.full .. " -> " .. t.full .. "/x" end },
    { "fs.rename(both)", "EINVAL", "file -> link",
      function() return fs.rename(t.file, t.link, { noreplace = true, exchange = true }) end },
    { "Dir:rename", "ENOTEMPTY", "dir -> full", function() return t.at:rename("dir", "full") end,
      below = true, either = "EEXIST" },
    { "Dir:rename(noreplace)", "EEXIST", "file -> link",
      function() return t.at:rename("file", "link", { noreplace = true }) end, below = true },
    { "fs.move", "EISDIR", "file -> dir", function() return fs.move(t.file, t.dir) end },
    { "fs.move", "ENOTDIR", "dir -> file", function() return fs.move(t.dir, t.file) end },
    { "fs.move", "ENOTEMPTY", "dir -> full", function() return fs.move(t.dir, t.full) end,
      either = "EEXIST" },
    { "fs.move(noreplace)", "EEXIST", "file -> link",
      function() return fs.move(t.file, t.link, { noreplace = true }) end },

    -- Copies.
    { "fs.copy", "EISDIR", "dir -> free", function() return fs.copy(t.dir, t.free) end },
    { "fs.copy", "EISDIR", "file -> dir", function() return fs.copy(t.file, t.dir) end },
    { "fs.copy", "EINVAL", "file -> file", function() return fs.copy(t.file, t.file) end },
    { "fs.copy", "EINVAL", "file -> link", function() return fs.copy(t.file, t.link) end },
    { "fs.copy", "EINVAL", "fifo -> free", function() return fs.copy(t.fifo, t.free) end },
    { "fs.copy", "ENXIO", "file -> socket", function() return fs.copy(t.file, t.socket) end },
    { "fs.copy(exclusive)", "EEXIST", "file -> link",
      function() return fs.copy(t.file, t.link, { exclusive = true }) end },
    { "fs.copytree", "EINVAL", "full -> full/inner",
      function() return fs.copytree(t.full, t.full .. "/inner") end,
      about = function() return t.full .. " -> " .. t.full .. "/inner" end },
    { "fs.copytree", "EEXIST", "full -> dir", function() return fs.copytree(t.full, t.dir) end,
      about = function() return t.dir end },

    -- Whole files.
    { "fs.readfile", "EISDIR", "dir", function() return fs.readfile(t.dir) end },
    { "fs.readfile_into", "EISDIR", "dir",
      function() return fs.readfile_into(t.dir, halo.buffer(1)) end },
    { "fs.readfile", "ENXIO", "socket", function() return fs.readfile(t.socket) end },
    { "fs.readfile_into", "ENXIO", "socket",
      function() return fs.readfile_into(t.socket, halo.buffer(1)) end },
    { "fs.writefile", "EISDIR", "dir", function() return fs.writefile(t.dir, "x") end },
    { "fs.writefile", "ENXIO", "socket", function() return fs.writefile(t.socket, "x") end },
    { "fs.writefile(atomic)", "EISDIR", "dir",
      function() return fs.writefile(t.dir, "x", { atomic = true }) end },
    { "fs.writefile(atomic)", "EINVAL", "fifo",
      function() return fs.writefile(t.fifo, "x", { atomic = true }) end },
    { "fs.writefile(atomic, exclusive)", "EEXIST", "file",
      function() return fs.writefile(t.file, "x", { atomic = true, exclusive = true }) end },
    { "fs.lines", "EISDIR", "dir", function() return fs.lines(t.dir)() end, raises = true },

    -- A Dir that is closed.
    { "Dir:close", "EBADF", "root", function()
      local dir = assert(fs.at(t.root))
      dir:close()
      return dir:close()
    end },
    { "fs.at(File)", "ENOTDIR", "file", function()
      local file = assert(fs.open(t.file))
      local dir, message, code = fs.at(file)
      file:close()
      return dir, message, code
    end },
    { "fs.at(File)", "EBADF", "dir", function()
      local file = assert(fs.open(t.dir))
      file:close()
      return fs.at(file)
    end },
    { "fs.chdir", "EBUSY", "dir", function()
      local fifo = halo.path.relative(t.fifo, fs.cwd())
      local task = halo.spawn(fs.open, fifo, flags.WRONLY)
      halo.yield()
      local ok, message, code = fs.chdir(t.dir)
      task:cancel()
      pcall(task.join, task)
      return ok, message, code
    end },
  })

  for _, entry in ipairs(catalog.dir_paths) do
    it(("Dir:%s answers EBADF once the Dir is closed"):format(entry.label or entry[1]), function()
      local dir = assert(fs.at(t.root))
      dir:close()
      local call = catalog.calling(entry, 3, dir)
      if entry.raises then
        refusals.assert_raised("EBADF", "file", function() call "file" end)
      else
        refusals.assert_refused("EBADF", "file", entry.prefix, call "file")
      end
    end)
  end

  for _, entry in ipairs(catalog.dir_pairs) do
    it(("Dir:%s answers EBADF once the Dir is closed"):format(entry[1]), function()
      local dir = assert(fs.at(t.root))
      dir:close()
      local about = entry.names_from and "file" or "file -> free"
      refusals.assert_refused("EBADF", about, false, dir[entry[1]](dir, "file", "free"))
    end)
  end

  it("leaves all as it was where it is refused", function()
    t.assert_unchanged()
  end)
end)

-- ---- completeness -------------------------------------------------------------------------------

describe("the table of calls", function()
  local known = {}
  for name in pairs(catalog.exceptions) do
    known[name] = true
  end
  for _, list in ipairs { "paths", "pairs", "files" } do
    for _, entry in ipairs(catalog[list]) do
      known[entry[1]] = true
      if list == "files" then
        for _, method in ipairs(entry.methods or { entry[1] }) do
          known["File:" .. method] = true
        end
      end
    end
  end
  for _, list in ipairs { "dir_paths", "dir_pairs" } do
    for _, entry in ipairs(catalog[list]) do
      known["Dir:" .. entry[1]] = true
    end
  end

  ---The functions of a table whose names begin with a letter, all of them known.
  local function assert_known(prefix, module)
    for name, value in pairs(module) do
      if type(value) == "function" and not name:match "^_" then
        assert.is_true(known[prefix .. name], prefix .. name .. " has no row and no reason why not")
      end
    end
  end

  it("has every function of halo.fs", function()
    for name in pairs(getmetatable(fs).modules) do
      assert.is_function(fs[name])
    end
    assert_known("", fs)
  end)

  it("has every method of File and of Dir", function()
    assert_known("File:", require("halo.core").File)
    local dir = assert(fs.at "/")
    assert_known("Dir:", getmetatable(dir))
    dir:close()
  end)
end)
