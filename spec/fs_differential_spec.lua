-- halo's calls beside the system's own: both do the same random things to a tree of their own, and
-- each must have the same result, be it a value or an error; in the end the trees must be the same.
-- HALO_DIFF says how many calls to make, HALO_SEED makes a run once more.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local plain = require "spec.support.plain"
local posix = require "spec.support.posix"
local random = require "spec.support.random"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local CALLS = tonumber(os.getenv "HALO_DIFF") or 5000
local LOG_LINES = 20 -- shown of what came before a failure
local SLOTS = 4 -- files that are open at the same time
local OFFSET_MAX, LENGTH_MAX = 20000, 9000
local DEPTH, NAMES = 3, 4
local LONG = ("n"):rep(256)

local flags = fs.flags

-- The two worlds ----------------------------------------------------------------------------------

---A world is a tree and the files that are open in it. Each of its calls returns values, or nil and
---the code. Paths begin below the root, so far down that no ".." leads out of the world.
local function new_world(calls, dir)
  local root = dir .. "/1/2/3/top"
  os.execute(command.quote("mkdir", "-p", root))
  return setmetatable({ root = root, dir = dir, files = {} }, { __index = calls })
end

local function at(world, path)
  return path == "" and "" or world.root .. "/" .. path
end

---Without where the world is, which is the one thing that may be different.
local function inside(world, path, code)
  if path and path:sub(1, #world.dir) == world.dir then
    return path:sub(#world.dir + 1)
  end
  return path, code
end

local ours, theirs = {}, {}

---halo's message is not what is compared.
local function result(value, _, code)
  return value, code
end

for _, name in ipairs { "rmdir", "remove", "readlink", "stat", "lstat" } do
  ours[name] = function(world, path)
    return result(fs[name](at(world, path)))
  end
  theirs[name] = function(world, path)
    return plain[name](at(world, path))
  end
end

for _, name in ipairs { "truncate", "mkdir", "chmod" } do
  ours[name] = function(world, path, number)
    return result(fs[name](at(world, path), number))
  end
  theirs[name] = function(world, path, number)
    return plain[name](at(world, path), number)
  end
end

local rename_options = { [0] = {}, { noreplace = true }, { exchange = true } }

function ours.rename(world, from, to, how)
  return result(fs.rename(at(world, from), at(world, to), rename_options[how]))
end

function theirs.rename(world, from, to, how)
  return plain.rename(at(world, from), at(world, to), how)
end

function ours.link(world, path, new)
  return result(fs.link(at(world, path), at(world, new)))
end

function theirs.link(world, path, new)
  return plain.link(at(world, path), at(world, new))
end

function ours.symlink(world, target, path)
  return result(fs.symlink(target, at(world, path)))
end

function theirs.symlink(world, target, path)
  return plain.symlink(target, at(world, path))
end

function ours.realpath(world, path)
  return inside(world, result(fs.realpath(at(world, path))))
end

function theirs.realpath(world, path)
  return inside(world, plain.realpath(at(world, path)))
end

local ways = { [0] = "", "x", "w", nil, "r", nil, "rw" }

function ours.access(world, path, mode)
  return result(fs.access(at(world, path), ways[mode]))
end

function theirs.access(world, path, mode)
  return plain.access(at(world, path), mode)
end

function ours.readdir(world, path)
  local entries, code = result(fs.readdir(at(world, path)))
  local names = entries and {}
  for i, entry in ipairs(entries or {}) do
    names[i] = entry.name
  end
  return names, code
end

function theirs.readdir(world, path)
  return plain.readdir(at(world, path))
end

-- Modes as halo has them, and what they mean.
local modes = {
  r = flags.RDONLY,
  ["r+"] = flags.RDWR,
  w = flags.WRONLY + flags.CREAT + flags.TRUNC,
  ["w+"] = flags.RDWR + flags.CREAT + flags.TRUNC,
  a = flags.WRONLY + flags.CREAT + flags.APPEND,
  wx = flags.WRONLY + flags.CREAT + flags.EXCL,
}
local mode_names = { "r", "r+", "w", "w+", "a", "wx", "nofollow", "directory" }
local number_modes = {
  nofollow = flags.RDWR + flags.NOFOLLOW,
  directory = flags.RDONLY + flags.DIRECTORY,
}

function ours.open(world, slot, path, mode)
  ours.close(world, slot)
  local file, code = result(fs.open(at(world, path), number_modes[mode] or mode))
  world.files[slot] = file and { file = file, append = mode == "a" }
  return file and true, code
end

function theirs.open(world, slot, path, mode)
  theirs.close(world, slot)
  local how = number_modes[mode] or modes[mode]
  local fd, code = plain.open(at(world, path), how, tonumber("644", 8))
  world.files[slot] = fd and { file = fd, append = mode == "a" }
  return fd and true, code
end

---The call on the file in a slot, where there is one.
local function on_file(name, call)
  return function(world, slot, ...)
    local open = world.files[slot]
    if not open then
      return "nothing is open"
    elseif name == "close" then
      world.files[slot] = nil
    end
    return call(open, ...)
  end
end

for _, name in ipairs { "close", "ftruncate", "fstat" } do
  ours[name] = on_file(name, function(open, ...) return result(fs[name](open.file, ...)) end)
  theirs[name] = on_file(name, function(open, ...) return plain[name](open.file, ...) end)
end

---A file opened to append takes no offset, and its position is the system's affair.
local function read_with(read)
  return function(open, count, offset)
    if open.append and not offset then
      return "not compared"
    end
    return read(open.file, count, offset)
  end
end

local function write_with(write)
  return function(open, data, offset)
    return write(open.file, data, not open.append and offset or nil)
  end
end

---As read(2) and pread(2), which give nothing at the end.
local function our_read(file, count, offset)
  local data, code
  if offset then
    data, code = result(fs.pread(file, count, offset))
  else
    data, code = result(fs.read(file, count))
  end
  return data or not code and "" or nil, code
end

local function our_write(file, data, offset)
  if offset then
    return result(fs.pwrite(file, data, offset))
  end
  return result(fs.write(file, data))
end

ours.read = on_file("read", read_with(our_read))
theirs.read = on_file("read", read_with(plain.read))
ours.write = on_file("write", write_with(our_write))
theirs.write = on_file("write", write_with(plain.write))

-- What is done ------------------------------------------------------------------------------------

local oddities = {
  function(path) return path .. "/" end,
  function(path) return path .. "/." end,
  function(path) return path .. "/.." end,
  function(path) return "./" .. path:gsub("/", "//") end,
  function(path) return path .. "/" .. LONG end,
  function() return "." end,
  function() return "" end,
}

local function some_path(number)
  local words = {}
  for i = 1, number(DEPTH) do
    words[i] = string.char(96 + number(NAMES))
  end
  local path = table.concat(words, "/")
  return number(12) == 1 and oddities[number(#oddities)](path) or path
end

local function some_target(number)
  local targets = { ".", "a", "b", "b/c", "./a/", "nowhere", LONG, "" }
  return targets[number(#targets)]
end

local function some_data(number)
  return string.char(number(97, 122)):rep(number(0, LENGTH_MAX))
end

local permissions = { tonumber("700", 8), tonumber("755", 8), tonumber("1777", 8) }

-- Each gives a call's name and arguments.
local choose = random.chooser {
  { 10, function(number) return "mkdir", some_path(number), permissions[number(3)] end },
  { 5, function(number) return "rmdir", some_path(number) end },
  { 6, function(number) return "remove", some_path(number) end },
  { 10, function(number)
    return "rename", some_path(number), some_path(number), math.max(0, number(6) - 4)
  end },
  { 6, function(number) return "link", some_path(number), some_path(number) end },
  { 6, function(number) return "symlink", some_target(number), some_path(number) end },
  { 3, function(number) return "readlink", some_path(number) end },
  { 2, function(number) return "realpath", some_path(number) end },
  { 3, function(number) return "stat", some_path(number) end },
  { 3, function(number) return "lstat", some_path(number) end },
  { 2, function(number) return "access", some_path(number), ({ 0, 1, 2, 4, 6 })[number(5)] end },
  { 2, function(number) return "chmod", some_path(number), permissions[number(3)] end },
  { 3, function(number) return "readdir", some_path(number) end },
  { 3, function(number) return "truncate", some_path(number), number(0, OFFSET_MAX) end },
  { 12, function(number)
    return "open", number(SLOTS), some_path(number), mode_names[number(#mode_names)]
  end },
  { 3, function(number) return "close", number(SLOTS) end },
  { 2, function(number) return "fstat", number(SLOTS) end },
  { 3, function(number) return "ftruncate", number(SLOTS), number(0, OFFSET_MAX) end },
  { 8, function(number)
    local offset = number(2) == 1 and number(0, OFFSET_MAX) or nil
    return "read", number(SLOTS), number(0, LENGTH_MAX), offset
  end },
  { 10, function(number)
    local offset = number(2) == 1 and number(0, OFFSET_MAX) or nil
    return "write", number(SLOTS), some_data(number), offset
  end },
}

-- What comes of it --------------------------------------------------------------------------------

local function shorten(text)
  return #text > 60 and ("%s... (%d)"):format(text:sub(1, 40), #text) or text
end

---What a call has returned, in a form that can be compared.
local function outcome_of(value, code)
  if type(value) ~= "table" and type(value) ~= "cdata" then
    return value == nil and tostring(code) or tostring(value)
  elseif type(value) == "cdata" or value.mode then
    local is_dir = math.floor(value.mode / 4096) == 4 -- whose size is the file system's affair
    return ("mode %o nlink %d size %d"):format(value.mode, value.nlink, is_dir and 0 or value.size)
  end
  table.sort(value)
  return "{" .. table.concat(value, " ") .. "}"
end

local function describe_call(name, ...)
  local words = {}
  for i = 1, select("#", ...) do
    words[i] = shorten(tostring((select(i, ...))))
  end
  return ("%s(%s)"):format(name, table.concat(words, ", "))
end

local function fail(log, call, our, their)
  error(("%s\nhalo:   %s\nsystem: %s\nafter:\n%s"):format(call, shorten(our), shorten(their),
    table.concat(log, "\n")), 0)
end

---Makes a call in both worlds, and writes it down with its result.
local function compare(log, us, them, name, ...)
  local our, their = outcome_of(us[name](us, ...)), outcome_of(them[name](them, ...))
  local call = describe_call(name, ...)
  if our ~= their then
    fail(log, call, our, their)
  end
  table.insert(log, call .. ": " .. shorten(our))
  if #log > LOG_LINES then
    table.remove(log, 1)
  end
  return their
end

---All that there is in a world, as other programs see it.
local function list(world)
  local line = "cd %s && find . \\( -type d -printf '%%y %%P %%m %%n\\n' -o "
    .. "-printf '%%y %%P %%m %%n %%s %%l\\n' \\) | sort && find . -type f -exec cksum {} + | sort"
  local stdout, stderr, status = command.run(line:format(command.quote(world.dir)))
  assert(status == 0, stderr)
  return stdout
end

local function close_all(log, us, them)
  for slot = 1, SLOTS do
    compare(log, us, them, "close", slot)
  end
end

---Makes so many calls, and returns the codes that have come of them, and "success".
local function run(dir, calls, seed)
  local us, them = new_world(ours, dir .. "/ours"), new_world(theirs, dir .. "/theirs")
  local number, log, results = random.new(seed), {}, {}
  local ok, err = pcall(function()
    for _ = 1, calls do
      local outcome = compare(log, us, them, choose(number, number))
      results[outcome:match "^E%u+$" or "success"] = true
    end
  end)
  close_all(log, us, them)
  assert(ok, err)
  assert.equal(list(them), list(us))
  return results
end

-- The file systems --------------------------------------------------------------------------------

---A directory on a new file system of that kind, and what takes it away; nil and why not.
local function mount_new(dir, kind)
  if not command.exists("mkfs." .. kind) then
    return nil, "there is no mkfs." .. kind
  end
  local image, target = command.quote(dir:path("image")), dir:path("mounted")
  local script = "truncate -s 512M %s && mkfs.%s -q %s && mkdir %s && mount -o loop %s %s"
  local where = command.quote(target)
  local _, stderr, status = command.run(script:format(image, kind, image, where, image, where))
  if status ~= 0 then
    return nil, "it cannot be mounted: " .. stderr
  end
  return target, function()
    assert(select(3, command.run("umount " .. where)) == 0)
  end
end

describe("halo's calls have the results of the system's own", function()
  local dir = temp.dir()

  local function check(where, name)
    local results = run(where, CALLS, random.seed "differential")
    survived.tell { name = "differential-" .. name:gsub("%W", ""),
      kind = "random calls, against the system's own, on " .. name, tried = CALLS, unit = "calls",
      lost = 0, command = "make test SPEC=spec/fs_differential_spec.lua" }
    if CALLS >= 5000 then -- or else chance has not had its way
      for _, code in ipairs { "success", "ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY",
        "EINVAL", "ELOOP", "ENAMETOOLONG", "EBADF", "EPERM" } do
        assert.is_truthy(results[code], code .. " did not occur")
      end
    end
  end

  it("on the file system of $TMPDIR #slow", function()
    check(dir.root, "the file system of $TMPDIR")
  end)

  it("on tmpfs #slow", function()
    if not posix.exists("/dev/shm") then
      pending("there is no /dev/shm")
      return
    end
    local path = fs.mkdtemp("/dev/shm/halo-spec-XXXXXX")
    local ok, err = pcall(check, path, "tmpfs")
    fs.rmtree(path)
    assert(ok, err)
  end)

  it("on xfs #slow", function()
    local path, unmount = mount_new(dir, "xfs")
    if not path then
      pending(unmount)
      return
    end
    local ok, err = pcall(check, path, "xfs")
    unmount()
    assert(ok, err)
  end)
end)
