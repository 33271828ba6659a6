-- What LuaFileSystem and halo.lfs are both put through: a program that prints what each call has
-- returned or raised. Its arguments are an empty directory, how many random programs to run, and
-- the first one's seed. It is run by plain luajit and by `halo --lfs`, and what they print has to
-- be the same.

local lfs = require "lfs"
local random = require "spec.support.random"

local root, programs, seed = arg[1], tonumber(arg[2]), tonumber(arg[3])
local STEPS = 25

assert(lfs.chdir(root))
root = assert(lfs.currentdir()) -- without links

-- ---- printing -----------------------------------------------------------------------------------

local function show(value)
  if type(value) == "string" then
    local text = value:gsub("^" .. root:gsub("%p", "%%%0"), "ROOT")
    return (("%q"):format(text):gsub("\n", "n"))
  elseif type(value) == "table" then
    local keys, parts = {}, {}
    for key in pairs(value) do
      keys[#keys + 1] = tostring(key)
    end
    table.sort(keys)
    for i, key in ipairs(keys) do
      parts[i] = key .. "=" .. show(value[key])
    end
    return "{" .. table.concat(parts, " ") .. "}"
  elseif type(value) == "number" then
    return ("%.17g"):format(value)
  elseif type(value) == "userdata" or type(value) == "function" then
    return type(value)
  end
  return tostring(value)
end

local function say(title, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = show((select(i, ...)))
  end
  print(title .. ": " .. table.concat(parts, ", "))
end

---Attributes that two runs have in common: both make files of their own.
local function common(value, ...)
  if type(value) == "table" then
    for _, name in ipairs { "ino", "access", "modification", "change", "blocks", "size" } do
      assert(type(value[name]) == "number", name)
      if name ~= "size" or value.mode == "directory" then
        value[name] = nil
      end
    end
    if value.mode == "directory" then
      value.nlink = nil
    end
  end
  return value, ...
end

-- ---- arguments that are wrong, or odd -----------------------------------------------------------

-- Each in a function of its own, since an error names its line and what was called.
-- luacheck: push ignore 512
local odd = {
  function() local r = lfs.attributes() return r end,
  function() local r = lfs.attributes(nil) return r end,
  function() local r = lfs.attributes {} return r end,
  function() local r = lfs.attributes(io.stdout) return r end,
  function() local r = lfs.attributes(".", "nothing") return r end,
  function() local r = lfs.attributes(".", 3) return r end,
  function() local r = lfs.attributes(".", "target") return r end,
  function() local a, b, c = lfs.attributes "" return a, b, c end,
  function() local a, b, c = lfs.attributes(12) return a, b, c end,
  function() local a, b, c = lfs.attributes "no\0pe" return a, b, c end,
  function() local a, b, c = lfs.attributes(".", "mode", "size", 1, 2) return a, b, c end,
  function() local a = lfs.attributes(".\0x", "mode") return a end,
  function() local a, b, c = lfs.attributes(("n"):rep(300)) return a, b, c end,
  function() local a, b, c = lfs.attributes(("n/"):rep(3000)) return a, b, c end,
  function() local a = {} return lfs.attributes("/", a) == a, a.mode end,
  function() local a, b = lfs.attributes("/", true) return a.mode, b end,
  function() local r = lfs.symlinkattributes() return r end,
  function() local a, b, c = lfs.symlinkattributes("/", "target") return a, b, c end,
  function() local a, b, c = lfs.symlinkattributes("nope", "target") return a, b, c end,
  function() local a, b, c = lfs.symlinkattributes "nope" return a, b, c end,
  function() local r = lfs.symlinkattributes("/", "what") return r end,
  function() local r = lfs.chdir() return r end,
  function() local a, b, c = lfs.chdir "nope" return a, b, c end,
  function() local a, b, c = lfs.chdir "" return a, b, c end,
  function() local a, b, c = lfs.chdir(("n"):rep(300)) return a, b, c end,
  function() local a, b = lfs.currentdir(1, 2, 3) return a, b end,
  function() local r = lfs.mkdir() return r end,
  function() local a, b, c = lfs.mkdir "" return a, b, c end,
  function() local a, b, c = lfs.mkdir "/" return a, b, c end,
  function() local a, b, c = lfs.mkdir "a/b/c" return a, b, c end,
  function() local r = lfs.rmdir(false) return r end,
  function() local a, b, c = lfs.rmdir "." return a, b, c end,
  function() local a, b, c = lfs.rmdir "nope" return a, b, c end,
  function() local a, b, c = lfs.rmdir "/proc" return a, b, c end,
  function() local r = lfs.link() return r end,
  function() local r = lfs.link "a" return r end,
  function() local r = lfs.link("a", {}) return r end,
  function() local a, b, c = lfs.link("nope", "new") return a, b, c end,
  function() local a, b, c = lfs.link("/", "new") return a, b, c end,
  function() local a, b, c = lfs.link("", "new", true) return a, b, c end,
  function() local a, b, c = lfs.link("x", "/", true) return a, b, c end,
  function() local r = lfs.touch() return r end,
  function() local r = lfs.touch(".", "x") return r end,
  function() local r = lfs.touch(".", 1, {}) return r end,
  function() local r = lfs.touch(".", io.stdout) return r end,
  function() local a, b, c = lfs.touch "nope" return a, b, c end,
  function() local a, b, c = lfs.touch("nope", 1, 2) return a, b, c end,
  function() local r = lfs.dir() return r end,
  function() local r = lfs.dir "nope" return r end,
  function() local r = lfs.dir "/dev/null" return r end,
  function() local r = lfs.dir "" return r end,
  function() for _ in lfs.dir(nil) do return 1 end end,
  function() for _ in lfs.dir "nope" do return 1 end end,
  function() local _, d = lfs.dir "." d:close() d:close() local r = d:next() return r end,
  function() local _, d = lfs.dir "." d:close() local r = d.next(d) return r end,
  function() local next, d = lfs.dir "." d:close() local r = next(d) return r end,
  function() local next = lfs.dir "." local r = next() return r end,
  function() local next = lfs.dir "." local r = next(io.stdout) return r end,
  function() local _, d = lfs.dir "." return select("#", d:close()) end,
  function() local _, d = lfs.dir "." return d.what end,
  function() local _, d = lfs.dir "." local r = d.next "x" return r end,
  function() local r = lfs.lock() return r end,
  function() local r = lfs.lock(3, "r") return r end,
  function() local r = lfs.lock(io.stdout) return r end,
  function() local r = lfs.lock(io.stdout, "x") return r end,
  function() local r = lfs.lock(io.stdout, "") return r end,
  function() local r = lfs.lock(io.stdout, {}) return r end,
  function() local r = lfs.lock(io.stdout, "r", "x") return r end,
  function() local r = lfs.lock(io.stdout, "r", 0, {}) return r end,
  function() local r = lfs.unlock(nil) return r end,
  function() local r = lfs.unlock(io.stdout, "x") return r end,
  function() local f = io.tmpfile() f:close() local r = lfs.lock(f, "r") return r end,
  function() local f = io.tmpfile() f:close() local r = lfs.unlock(f) return r end,
  function() local f = io.tmpfile() f:close() local r = lfs.setmode(f, "text") return r end,
  function() local a, b = lfs.lock(io.tmpfile(), "w", -5, 2) return a, b end,
  function() local a, b = lfs.lock(io.tmpfile(), "w", 5, -9) return a, b end,
  function() local r = lfs.setmode() return r end,
  function() local r = lfs.setmode(io.stdout) return r end,
  function() local r = lfs.setmode(io.stdout, "what") return r end,
  function() local r = lfs.setmode(io.stdout, 7) return r end,
  function() local a, b = lfs.setmode(io.stdout, "text") return a, b end,
  function() local a, b, c = lfs.setmode(io.stdout, "binary", 1) return a, b, c end,
  function() local r = lfs.lock_dir() return r end,
  function() local a, b, c = lfs.lock_dir "nope" return a, b, c end,
  function() local l = lfs.lock_dir "." local r = l.free() return r end,
  function() local a, b = lfs.lock_dir "." collectgarbage() collectgarbage() return a, b end,
  function() local l = lfs.lock_dir "." return select("#", l:free()), l:free(), l.what end,
  function() local a = lfs.lock_dir "." local b, c = lfs.lock_dir "." a:free() return a, b, c end,
  function() return lfs._VERSION, _G.lfs == lfs, package.loaded.lfs == lfs end,
}
-- luacheck: pop

local function names_of(module)
  local names = {}
  for name, value in pairs(module) do
    if type(value) == "function" and name ~= "install" then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

say("functions", unpack(names_of(lfs)))
for i, fn in ipairs(odd) do
  say("odd " .. i, pcall(fn))
end
for _, name in ipairs(names_of(lfs)) do
  if name ~= "currentdir" then
    say("plainly " .. name, pcall(lfs[name]))
    say("plainly " .. name, pcall(lfs[name], nil, 1))
  end
end

-- ---- files of every kind ------------------------------------------------------------------------

for _, path in ipairs {
  "/dev/null", "/dev/zero", "/dev/tty", "/proc/self/status", "/proc/version", "/etc/passwd",
  "/root/secret", "/etc/passwd/x", "/usr/bin", "/tmp", "/dev/stdin", "/proc/self/fd/9999",
} do
  for _, name in ipairs { "attributes", "symlinkattributes" } do
    local attributes, message, number = lfs[name](path)
    if attributes then
      attributes.access, attributes.target = nil, nil
      if path:find "^/proc" then
        attributes = { mode = attributes.mode }
      elseif path == "/tmp" then
        attributes = { mode = attributes.mode, permissions = attributes.permissions }
      elseif path:find "^/dev" then -- others may be at it
        attributes.modification, attributes.change = nil, nil
      end
    end
    say(name .. " " .. path, attributes, message, number)
  end
  say("mode " .. path, lfs.attributes(path, "mode"))
end

-- ---- random programs ----------------------------------------------------------------------------

local names = { "a", "b", "c", "a/x", "b/y", "a/x/z", "./c", "../" .. root:match "[^/]*$" .. "/a" }

local function name(number)
  return names[number(#names)]
end

---@type table<userdata, true>
local open_locks = {}

local wanted = { "mode", "size", "nlink", "permissions", "uid", "modification", "access" }

local steps = {
  { 5, function(number) say("mkdir", lfs.mkdir(name(number))) end },
  { 2, function(number) say("rmdir", lfs.rmdir(name(number))) end },
  { 2, function(number) say("link", lfs.link(name(number), name(number))) end },
  { 3, function(number) say("symlink", lfs.link(name(number), name(number), number(2))) end },
  { 3, function(number)
    local path = name(number)
    local file, message, code = io.open(path, "w")
    say("open", file ~= nil, message, code)
    if file then
      file:write(("x"):rep(number(5000)))
      file:close()
    end
  end },
  { 1, function(number) say("remove", os.remove(name(number))) end },
  { 4, function(number)
    local path, access, modification = name(number), number(1e9) - 5e8, number(1e9) + 0.75
    local how = number(4)
    if how == 1 then
      say("touch", lfs.touch(path))
    elseif how == 2 then
      say("touch", lfs.touch(path, access))
    elseif how == 3 then
      say("touch", lfs.touch(path, access, modification))
    else
      say("touch", lfs.touch(path, nil, tostring(modification)))
    end
    if how > 1 then
      say("touched", lfs.attributes(path, "modification"))
    end
  end },
  { 5, function(number) say("attributes", common(lfs.attributes(name(number)))) end },
  { 4, function(number) say("symlinkattributes", common(lfs.symlinkattributes(name(number)))) end },
  { 2, function(number) say("target", lfs.symlinkattributes(name(number), "target")) end },
  { 4, function(number)
    local path, what = name(number), wanted[number(#wanted)]
    local value, message, code = lfs.attributes(path, what)
    local differs = what == "nlink" or what == "size" or what == "modification" or what == "access"
    say("attribute " .. what, differs and type(value) or value, message, code)
  end },
  { 4, function(number)
    local path, found = name(number), {}
    local ok, next, dir = pcall(lfs.dir, path)
    if not ok then
      return say("dir", next)
    end
    local most = number(8) -- some are left before their end
    for entry in next, dir do
      found[#found + 1] = entry
      if most == 1 and #found == 2 then
        dir:close()
        say("closed", pcall(next, dir))
        return
      end
    end
    table.sort(found)
    say("dir", unpack(found))
    say("ended", pcall(next, dir))
  end },
  { 2, function(number)
    say("chdir", lfs.chdir(name(number)))
    say("currentdir", lfs.currentdir())
    assert(lfs.chdir(root))
  end },
  { 1, function(number)
    local path = name(number)
    local lock, message, code = lfs.lock_dir(path)
    say("lock_dir", lock, message, code)
    if lock then
      say("again", lfs.lock_dir(path))
      say("link", lfs.symlinkattributes(path .. "/lockfile.lfs", "target"))
      if number(2) == 1 then
        lock:free()
      else
        open_locks[lock] = true
      end
    end
  end },
  { 1, function(number)
    local file = io.open(name(number), number(2) == 1 and "r" or "r+")
    if file then
      local mode = ("rwu"):sub(number(3)):sub(1, 1)
      say("lock", lfs.lock(file, mode, number(3) == 1 and number(100) or nil, number(10)))
      say("unlock", lfs.unlock(file))
      say("setmode", lfs.setmode(file, "text"))
      file:close()
    end
  end },
}

local step = random.chooser(steps)

for i = 1, programs do
  local number = random.new(seed + i)
  assert(lfs.mkdir "run" and lfs.chdir "run")
  local before = root
  root = root .. "/run"
  names[#names] = "../run/a"
  print("program " .. seed + i)
  for _ = 1, STEPS do
    step(number, number)
  end
  for lock in pairs(open_locks) do
    lock:free()
  end
  open_locks, root = {}, before
  assert(lfs.chdir "..")
  os.execute "rm -rf run"
end
