-- Every public call on a fixture of its own, as what is done before the fault, the call itself, and
-- what is cleared away after it. The calls are those of spec/support/results_rows.lua, which has
-- all that are public, and some more for streams and for what ends in a loop.

local ffi = require "ffi"
local halo = require "halo"
local posix = require "spec.support.posix"
local rows = require "spec.support.results_rows"
local fs = halo.fs

ffi.cdef [[
int faults_tree_make(const char *root);
const char *faults_tree_look(const char *root);
int faults_tree_remove(const char *root);
int faults_count_descriptors(void);
]]

local C = ffi.C

local acts = { list = {} }
local known = {}

local LONG = ("y"):rep(300000)

---@class faults.act
---@field name string
---@field prepare fun(root: string): any
---@field call fun(subject: any, root: string): ...
---@field finish fun(subject: any)?
---@field raises boolean?
---@field ended boolean?
---@field paths string[] those of the call, as the user names them

---@field on_file boolean? it is about the file of the fixture
---@field quiet boolean? what cannot be seen is not there
---@field closes boolean? its close is a promise that the data is there
---@field nobody boolean? it names no file
---@field helped boolean? it ends only if another task does its part

local function add(act)
  if known[act.name] then
    return
  end
  known[act.name] = true
  act.finish = act.finish or function() end
  act.prepare = act.prepare or function() end
  act.paths = act.paths or {}
  acts.list[#acts.list + 1] = act
end

-- ---- the fixture --------------------------------------------------------------------------------

---Makes the files that the rows name.
function acts.build(root)
  assert(C.faults_tree_make(root) == 0, "the fixture cannot be made")
end

---What there is below the root: what each name is, and its content.
---@return table<string, string>
function acts.look(root)
  local seen = {}
  for name, what in ffi.string(C.faults_tree_look(root)):gmatch "([^\t\n]+)\t([^\n]*)\n" do
    seen[name] = what
  end
  return seen
end

-- ---- rows ---------------------------------------------------------------------------------------

---A row's arguments with paths below a prefix; and those paths.
local function arguments_of(list, prefix, away)
  local arguments, paths = {}, {}
  for i = 1, table.maxn(list) do
    local value = list[i]
    if type(value) == "table" and value.text then
      value = value.text
    elseif type(value) == "string" then
      value = value == "away" and away or prefix .. value
    end
    if type(value) == "string" and (value ~= list[i] or prefix == "") and #value < 4096 then
      paths[#paths + 1] = value
    end
    arguments[i] = value
  end
  return arguments, paths
end

local function first_key(options)
  local keys = {}
  for key in pairs(options) do
    keys[#keys + 1] = tostring(key)
  end
  table.sort(keys)
  return keys[1] or "{}"
end

local function label(prefix, row)
  local words = {}
  for i = 1, table.maxn(row.ok or {}) do
    local value = row.ok[i]
    if type(value) == "table" then
      value = value.text or first_key(value)
    end
    value = tostring(value)
    words[i] = #value > 20 and "..." or value
  end
  return ("%s%s(%s)"):format(prefix, row[1], table.concat(words, ", "))
end

---What a call has opened.
local function close(value)
  local kind = type(value)
  if (kind == "userdata" or kind == "table") and pcall(function() return value.close end)
    and value.close then
    pcall(value.close, value)
  end
end

local function away_of(root)
  return (os.getenv "HALO_FAULTS_AWAY" or "/tmp") .. "/halo-faults-" .. root:match "([^/]*)/[^/]*$"
end

local without_path = { sync = true, umask = true, cwd = true }

local function writes_to_the_end(row)
  local options = row.ok[3]
  return row[1] == "writefile" and not (type(options) == "table" and options.atomic)
end

local function add_path(prefix, row, prepare, make, more)
  more = more or {}
  add {
    name = label(prefix, row),
    ended = row.ok.ended,
    raises = row.raises,
    quiet = row[1] == "poll" or row[1] == "glob",
    nobody = without_path[row[1]],
    on_file = more.on_file,
    closes = more.closes or writes_to_the_end(row),
    prepare = prepare,
    call = make,
    paths = row.ok,
    finish = function(subject)
      if subject then
        subject:close()
      end
    end,
  }
end

for _, list in ipairs { rows.by_path, rows.fs } do
  for _, row in ipairs(list) do
    add_path("fs.", row, nil, function(_, root)
      local arguments = arguments_of(row.ok, root .. "/", away_of(root))
      return fs[row[1]](unpack(arguments, 1, table.maxn(row.ok)))
    end)
  end
end

for _, row in ipairs(rows.by_path) do
  add_path("Dir:", row, function(root)
    return assert(fs.at(root))
  end, function(at, root)
    local arguments = arguments_of(row.ok, "", away_of(root))
    return at[row[1]](at, unpack(arguments, 1, table.maxn(row.ok)))
  end)
end

for _, list in ipairs { rows.file, rows.methods } do
  for _, row in ipairs(list) do
    add_path("File:", row, function(root)
      return assert(fs.open(root .. "/file", "r+"))
    end, function(file)
      local arguments = arguments_of(row.ok, "")
      local method = file[rows.method_names[row[1]] or row[1]]
      return method(file, unpack(arguments, 1, table.maxn(row.ok)))
    end, { on_file = true, closes = row[1] == "close" })
  end
end

for _, row in ipairs(rows.others) do
  local name, n = row[1], 1
  while known[name] do
    n = n + 1
    name = row[1] .. ", " .. n
  end
  add { name = name, call = row[2], raises = row[1]:find "^W", nobody = true, other = true }
end

-- ---- more ---------------------------------------------------------------------------------------

local function with_file(name, mode, options)
  return function(root)
    return assert(fs.open(root .. "/" .. name, mode, options))
  end
end

local function close_it(file)
  pcall(file.close, file)
end

local function add_file(name, prepare, call, more)
  local act = { name = name, prepare = prepare, call = call, finish = close_it }
  for key, value in pairs(more or {}) do
    act[key] = value
  end
  add(act)
end

---A stream gives what it has.
local function read_bytes(fifo)
  local got = ""
  while #got < #"bytes" do
    local data, message, code = fifo:read(100)
    if not data then
      return nil, message, code
    end
    got = got .. data
  end
  return got
end

add_file("a read of a FIFO", function(root)
  local fifo = assert(fs.open(root .. "/fifo", "r+"))
  assert(fifo:write "bytes")
  return fifo
end, function(fifo)
  return read_bytes(fifo)
end)

add_file("a read that waits", with_file("fifo", "r+"), function(fifo)
  local fd = fifo:fd()
  local writer = halo.spawn(function()
    halo.yield()
    posix.write(fd, "bytes")
  end)
  local data, message, code = read_bytes(fifo)
  writer:join()
  return data, message, code
end, { helped = true })

add_file("a write to a FIFO", with_file("fifo", "r+"), function(fifo)
  return fifo:write "bytes"
end)

add_file("a write that appends", with_file("file", "a"), function(file)
  return file:write("more", LONG)
end)

add_file("a write to a file of DSYNC", function(root)
  local flags = fs.flags
  return assert(fs.open(root .. "/file", flags.RDWR + flags.DSYNC))
end, function(file)
  return file:pwrite("x", 0)
end)

add_file("a stat of a file of DSYNC", function(root)
  return assert(fs.open(root .. "/file", fs.flags.RDWR + fs.flags.DSYNC))
end, function(file)
  return file:stat "size"
end)

add_file("buffered writes and a close", with_file("free", "w", { buffer = 10 }), function(file)
  for i = 1, 4 do
    local count, message, code = file:write("some", i, LONG:sub(1, 5 * i))
    if not count then
      return nil, message, code
    end
  end
  return file:close()
end, { closes = true })

add_file("all lines of a file that is open", with_file("file", "r"), function(file)
  local all = {}
  for line in file:lines() do
    all[#all + 1] = line
  end
  return table.concat(all)
end, { raises = true })

add_file("all lines of a file", nil, function(_, root)
  local all = {}
  for line in fs.lines(root .. "/long_file") do
    all[#all + 1] = line
  end
  return table.concat(all)
end, { raises = true, finish = function() end })

add_file("all entries of a directory", nil, function(_, root)
  local all = {}
  for name in fs.dir(root) do
    all[#all + 1] = name
  end
  table.sort(all)
  return table.concat(all, " ")
end, { raises = true, finish = function() end })

add_file("a walk", nil, function(_, root)
  local all = {}
  for path in fs.walk(root, { stat = true }) do
    all[#all + 1] = path:sub(#root + 2)
  end
  table.sort(all)
  return table.concat(all, " ")
end, { raises = true, finish = function() end })

add_file("a glob", nil, function(_, root)
  local all, message, code = fs.glob(root .. "/**/*")
  return all and #all, message, code
end, { quiet = true, finish = false })

add_file("a glob of names", nil, function(_, root)
  local all, message, code = fs.glob(root .. "/{file,full}/x")
  return all and #all, message, code
end, { quiet = true, finish = false })

---A watch tells of what it cannot see by an event.
local function name_of(event)
  if event.type == "error" then
    return nil, event.message, event.code
  end
  return event.path:match "[^/]*$"
end

add_file("an event of a watch", function(root)
  return assert(fs.watch(root .. "/dir"))
end, function(watch, root)
  posix.mkfifo(root .. "/dir/new")
  return name_of(watch:next())
end)

add_file("an event of a recursive watch", function(root)
  return assert(fs.watch(root .. "/dir", { recursive = true }))
end, function(watch, root)
  posix.mkfifo(root .. "/dir/new")
  return name_of(watch:next())
end)

for _, mode in ipairs { "exclusive", "shared" } do
  add_file("a lock that waits: " .. mode, function(root)
    local other = assert(fs.open(root .. "/file", "r+"))
    assert(other:lock "exclusive")
    local file = assert(fs.open(root .. "/file", "r+"))
    return { file = file, other = other, close = function()
      file:close()
      other:close()
    end }
  end, function(both)
    local waiter = halo.spawn(function()
      halo.yield()
      both.other:close()
    end)
    local ok, message, code = both.file:lock(mode)
    waiter:join()
    return ok, message, code
  end, { helped = true })
end

---Copies that are made in several ways.
for _, options in ipairs { {}, { reflink = false }, { mode = true, times = true } } do
  add {
    name = "a copy over a file, " .. (next(options) or "plain"),
    paths = { "long_file", "file" },
    call = function(_, root)
      return fs.copy(root .. "/long_file", root .. "/file", options)
    end,
  }
end

---Its own paths in what a message may say.
function acts.paths_of(act, root)
  local found = { act.on_file and root .. "/file" or nil }
  for _, prefix in ipairs { root .. "/", "" } do
    local _, paths = arguments_of(act.paths, prefix, away_of(root))
    for _, path in ipairs(paths) do
      found[#found + 1] = path
    end
  end
  return found
end

---Closes what a call has brought.
function acts.close_all(results)
  for i = 1, results.n do
    close(results[i])
  end
end

---Removes the fixture, and what a call has moved away from it.
function acts.clear(root)
  C.faults_tree_remove(root)
  C.faults_tree_remove(away_of(root))
end

acts.count_descriptors = C.faults_count_descriptors

return acts
