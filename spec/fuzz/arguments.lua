-- Random values for every public function and method. An input is a row of calls: which function,
-- and for each argument which value. What a call returns is a value for the later ones.
--
-- Whatever they are, a call comes to an end; an error is a text that blames this file, or one that
-- was ours; and afterwards the state works as before. The C around this sees to it that there is
-- nothing to be destroyed.

local ffi = require "ffi"
local halo = require "halo"

local fs, path = halo.fs, halo.path

local lines_run = _G.lines_run
local CALLS_MAX = 40
local SECONDS = 0.02 -- for a call that waits
local LINES_MAX = 3000000 -- of Lua, for all of them
local OURS = "ours" -- an error

---What changes more than its process.
local left_out = { ["fs.sync"] = true }

local function fail(...)
  error("in arguments: " .. string.format(...), 0)
end

-- ---- the input ----------------------------------------------------------------------------------

local input, at

local function byte()
  at = at + 1
  return input:byte(at) or 0
end

local function choose(list)
  return list[byte() % #list + 1]
end

-- ---- what may be called -------------------------------------------------------------------------

---@class fuzz.Target
---@field name string
---@field fn function
---@field kind string? of the first argument

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do
    if type(name) == "string" then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function add_functions(targets, prefix, from, names, kind)
  for _, name in ipairs(names) do
    local fn = from[name]
    if type(fn) == "function" and not left_out[prefix .. name] and name:sub(1, 2) ~= "__" then
      targets[#targets + 1] = { name = prefix .. name, fn = fn, kind = kind }
    end
  end
end

---What is done by signs instead of names.
local operators = {
  { name = "tostring", fn = tostring },
  { name = "#", fn = function(value) return #value end },
  { name = "index", fn = function(value, key) return value[key] end },
  { name = "newindex", fn = function(value, key, other) value[key] = other end },
  { name = "call", fn = function(value, ...) return value(...) end },
  { name = "..", fn = function(value, other) return value .. other end },
  { name = "==", fn = function(value, other) return value == other end },
  { name = "<", fn = function(value, other) return value < other end },
  { name = "pairs", fn = function(value)
    local count = 0
    for _ in pairs(value) do
      count = count + 1
    end
    return count
  end },
}

---Calls an iterator that a call has given a few times, as a loop does.
local function loop(...)
  local step, state, control = ...
  for _ = 1, 5 do
    control = step(state, control)
    if control == nil then
      break
    end
  end
end

local function all_targets(objects)
  local targets = {}
  add_functions(targets, "halo.", halo, sorted_names(halo))
  local names = sorted_names(fs)
  for name in pairs(getmetatable(fs).modules) do
    if rawget(fs, name) == nil then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  add_functions(targets, "fs.", fs, names)
  add_functions(targets, "path.", path, sorted_names(path))
  for _, kind in ipairs(sorted_names(objects)) do
    local metatable = debug.getmetatable(objects[kind][1])
    local methods = metatable and rawget(metatable, "__index")
    if type(methods) == "table" then
      add_functions(targets, kind .. ":", methods, sorted_names(methods), kind)
    end
  end
  for _, operator in ipairs(operators) do
    targets[#targets + 1] = operator
  end
  targets[#targets + 1] = { name = "loop", fn = loop }
  return targets
end

-- ---- values -------------------------------------------------------------------------------------

local numbers = {
  0, 1, 2, 3, 7, 64, 100, 255, 256, 420, 511, 644, 4096, 65536, -1, -2, 0.5, 1e-300, 2 ^ 31,
  2 ^ 31 - 1, 2 ^ 32, 2 ^ 53, 2 ^ 53 + 2, 2 ^ 63, 2 ^ 64, -2 ^ 63, 1e300, 1 / 0, -1 / 0, 0 / 0,
  -0.0,
}

local texts = {
  "", ".", "..", "/", "file", "dir", "dir/inside", "missing", "missing/x", "link", "loop", "fifo",
  "file/x", "dir/", "new", "new2", "dir/new", "../file", "//file", "./dir/../file", "a\0b", "\0",
  ("x"):rep(255), ("x"):rep(256), ("d/"):rep(2100), ("y"):rep(70000), "\255\254", "\195\164",
  "r", "w", "a", "r+", "w+", "a+", "wx", "rw", "n", "*a", "l", "644", "0777", "8", "u=rw,go=r",
  "+x",
  "a=", "*", "**", "?", "[a-z]*", "[", "{a,b}", "{1..3}", "exclusive", "shared", "set", "cur",
  "end", "data", "hole", "full", "no", "user.x", "user.", "x", "xxh3", "sha256", "size", "id",
  "mtime", "type", "normal", "willneed", "1", "-1", "0x10", "1e5", "nan", "%s%n", "socket", "dir/*",
}

local options = {
  "parents", "perm", "recursive", "force", "atomic", "append", "exclusive", "sync", "follow",
  "merge", "owner", "xattrs", "noreplace", "exchange", "beneath", "mounts", "dir", "hidden",
  "depth",
  "buffer", "max", "timeout", "default", "limit", "concurrency", "stat", "engine", "order", "n", 1,
  2,
}

local function none() end

local function same(...)
  return ...
end

local function waits()
  halo.sleep(0.001)
  return 1
end

local function yields()
  halo.yield()
  return halo.current()
end

local function raises()
  error(OURS, 0)
end

local function raises_table()
  error({ OURS }, 0)
end

local function deep()
  return coroutine.wrap(function()
    return fs.stat "file"
  end)()
end

local functions = { none, same, waits, yields, deep, raises, raises_table, print, halo.yield,
  coroutine.wrap(none) }
functions[8] = none -- print is noise

local value -- below

local function with_metatable()
  local names = { "__index", "__len", "__tostring", "__call", "__newindex", "__pairs", "__eq",
    "__concat", "__lt", "__mode", "__metatable" }
  local metatable = {}
  for _ = 1, byte() % 4 do
    metatable[choose(names)] = choose { raises, none, same, "kv", false, {}, yields }
  end
  return setmetatable({ 1, "file" }, metatable)
end

local tables = {
  function() return {} end,
  function() return { value(), value() } end,
  function() return { [choose(options)] = value(), [choose(options)] = value() } end,
  function() return { [choose(options)] = true } end,
  function() return { [choose(options)] = true, [choose(options)] = true } end,
  function()
    local cyclic = {}
    cyclic[1], cyclic.dir, cyclic[cyclic] = cyclic, cyclic, cyclic
    return cyclic
  end,
  with_metatable,
  function()
    local long = {}
    for i = 1, 300 do
      long[i] = i % 3 == 0 and "x" or functions[i % 2 + 1]
    end
    return long
  end,
  function() return { none, waits, same } end,
}

local others = {
  function() return coroutine.create(yields) end,
  function()
    local dead = coroutine.create(none)
    coroutine.resume(dead)
    return dead
  end,
  coroutine.running,
  function() return newproxy(true) end,
  function() return ffi.new("int64_t", 5) end,
  function() return ffi.new "uint64_t[4]" end,
  function() return ffi.cast("char *", nil) end,
  function() return io.stdin end,
  function() return _G end,
  function() return halo end,
}

local objects, results

local function object()
  local kinds = sorted_names(objects)
  return choose(objects[choose(kinds)])
end

---How often each kind of value is drawn, of 256.
function value()
  local kind = byte()
  if kind < 16 then
    return nil
  elseif kind < 24 then
    return kind % 2 == 0
  elseif kind < 70 then
    return choose(numbers)
  elseif kind < 130 then
    return choose(texts)
  elseif kind < 150 then
    return choose(tables)()
  elseif kind < 165 then
    return choose(functions)
  elseif kind < 175 then
    return choose(others)()
  elseif kind < 215 and results[1] then
    return choose(results)
  end
  return object()
end

-- ---- things to begin with -----------------------------------------------------------------------

local function make_files()
  assert(fs.writefile("file", "first\nsecond\nthird"))
  assert(fs.mkdir "dir")
  assert(fs.writefile("dir/inside", "inside"))
  assert(fs.symlink("file", "link"))
  assert(fs.symlink("loop", "loop"))
  assert(fs.mkfifo "fifo")
end

local function closed(file)
  file:close()
  return file
end

local function ended(fn)
  local task = halo.spawn(fn)
  task:join()
  return task
end

local function ended_scope()
  local kept
  halo.scope(function(scope)
    kept = scope
  end)
  return kept
end

local function make_objects()
  local full, over = halo.channel(1), halo.channel()
  full:send(1)
  over:close()
  return {
    File = { assert(fs.open("file", "r+")), assert(fs.open("file", "a+")),
      assert(fs.open("new0", "w", { buffer = 100 })), assert(fs.open "dir"),
      closed(assert(fs.open "file")), assert(fs.tempfile "."), halo.stdin },
    Dir = { assert(fs.at "dir"), assert(fs.at("dir", { beneath = true })),
      closed(assert(fs.at ".")) },
    Task = { ended(none), halo.spawn(waits), halo.current() },
    Channel = { halo.channel(), full, over },
    Semaphore = { halo.semaphore(1), halo.semaphore(2) },
    Scope = { ended_scope() },
    Buffer = { halo.buffer(10), halo.buffer(0), halo.buffer(70000) },
    Stat = { assert(fs.stat "file"), assert(fs.stat "dir") },
    Watch = { assert(fs.watch "dir"), closed(assert(fs.watch "file")) },
  }
end

-- ---- calls --------------------------------------------------------------------------------------

---An error that a user may see: told at a line of this file, or without any; or one of ours.
local function check_error(target, err)
  if type(err) ~= "string" then
    if type(err) == "table" and err[1] ~= OURS and not halo.is_cancelled(err) then
      fail("%s raises %s", target.name, tostring(err))
    end
    return
  end
  if err:find("[halo]", 1, true) or err:find "^%[C%]" then
    fail("%s blames halo: %s", target.name, err)
  end
  local ours = err:match "^spec/fuzz/arguments%.lua:%d+: attempt to (.*)"
  if err:find "attempt to" and not ours then
    fail("%s fails inside: %s", target.name, err)
  end
end

local function keep(ok, ...)
  for i = 1, math.min(select("#", ...), 3) do
    local result = (select(i, ...))
    if ok and result ~= nil and #results < 50 then
      results[#results + 1] = result
    end
  end
  return ok, ...
end

local function call(target)
  local count = byte() % 6
  local arguments = {}
  for i = 1, count do
    if i == 1 and target.kind and byte() % 8 > 0 then
      arguments[i] = choose(objects[target.kind])
    else
      arguments[i] = value()
    end
  end
  local ok, err = keep(pcall(halo.timeout, SECONDS, function()
    return target.fn(unpack(arguments, 1, count))
  end))
  if not ok then
    check_error(target, err)
  end
end

---What a state is for, after all that.
local function check_state()
  assert(fs.writefile("check", "works"))
  assert(fs.readfile "check" == "works", "a file cannot be read")
  local task = halo.spawn(same, 1)
  assert(task:join() == 1, "a task has another result")
end

local function close_all()
  for _, kind in ipairs { "Watch", "File", "Dir" } do
    for _, each in ipairs(objects[kind]) do
      pcall(each.close, each)
    end
  end
  for _, task in ipairs(halo.tasks()) do
    if task ~= halo.current() and type(task) == "userdata" then
      task:cancel()
    end
  end
end

local function run(data)
  input, at, results = data, 0, {}
  make_files()
  objects = make_objects()
  local targets = all_targets(objects)
  for _ = 1, CALLS_MAX do
    if at >= #input then
      break
    end
    call(targets[(byte() * 256 + byte()) % #targets + 1])
  end
  pcall(fs.chdir, "/")
  fs.umask(18)
  pcall(fs.chmod, "/", 493)
  pcall(fs.remove, "check", { recursive = true, force = true })
  check_state()
  close_all()
  if lines_run() > LINES_MAX then
    fail("%d lines were run", lines_run())
  end
end

---This task may be cancelled by its own calls.
return function(data)
  halo.shield(run, data)
end
