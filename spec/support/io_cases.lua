-- What scripts do with io and os, told line by line: `luajit io_cases.lua DIR` and
-- `halo io_cases.lua DIR` have to print the same. With "crowd" behind the directory other tasks run
-- meanwhile where there are tasks, so that nothing is done on the spot. A number behind that leaves
-- out all but every so many cases, and "install" behind it puts halo's functions in before.

local dir, crowd, every = arg[1], arg[2] == "crowd", tonumber(arg[3] or 1)
if arg[4] == "install" then
  assert(require("halo.io").install())
end
local out = {}

if crowd and pcall(require, "halo") then
  local halo = require "halo"
  halo.spawn(function()
    while crowd do
      halo.sleep(0.0005)
    end
  end)
end

local function show(value)
  if type(value) == "string" then
    local text = ("%q"):format(value):gsub("\\\n", "\\n"):gsub("\r", "\\r")
    text = text:gsub("0x%x+", "0x"):gsub(dir, "DIR")
    return #text <= 100 and text or text:sub(1, 50) .. #text .. text:sub(-50)
  elseif type(value) == "number" then
    return ("%.17g"):format(value)
  end
  return (tostring(value):gsub("0x%x+", "0x"))
end

local function tell(name, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = show((select(i, ...)))
  end
  table.insert(out, name .. ": " .. table.concat(parts, " "))
end

local function case(name, fn, ...)
  tell(name, pcall(fn, ...))
end

local count = 0
local function path(content)
  count = count + 1
  local name = dir .. "/file" .. count
  if content then
    local file = assert(io.open(name, "wb"))
    file:write(content)
    file:close()
  end
  return name
end

local function content_of(name)
  local file = io.open(name, "rb")
  local content = file and file:read "*a"
  if file then
    file:close()
  end
  return content
end

-- Reading: each format on each text -------------------------------------------------------------

local texts = {
  "", "\n", "\n\n", "a", "a\n", "a\nb", "a\nb\n", "a\r\nb\r\n", " \n a \n", "\0", "a\0b\nc\n",
  "a\0b", "\0\n\0\nx\n", "1", "1 2 3", "  1.5e3x", "0x10 0xff.8p1 7", "-", "+", "-5-6", "1e", "1e+",
  ".5.5.", "nan inf", "infinity", "NaN", "1,5", "abc 1", "\n\n\t 42\nrest\n", "1e400 -1e400", "--1",
  "0x", "0xg", "1\0002", "12abc", "1e5e5", "1 \n\n\n2\n",
  ("x"):rep(4095), ("x"):rep(4096), ("x"):rep(4097), ("x"):rep(4095) .. "\n",
  ("x"):rep(4096) .. "\n", ("x"):rep(8191) .. "\nend", ("x"):rep(20000) .. "\n" .. ("y"):rep(9000),
  ("line\n"):rep(3000), ("1"):rep(300) .. " " .. ("2"):rep(5000), (" "):rep(5000) .. "7",
  ("3 "):rep(4000), (" "):rep(4094) .. "123456 5", ("\n"):rep(4095) .. "12.5e1 x",
}
local formats = {
  {}, { "l" }, { "*l" }, { "L" }, { "*L" }, { "n" }, { "*n" }, { "a" }, { "*a" }, { 0 }, { 1 },
    { 2 },
  { 5 }, { 4096 }, { 100000 }, { 1.9 }, { "l", "l" }, { "n", "n" }, { "n", "l", "a" }, { 1, "l" },
  { "a", "a" }, { "a", "l" }, { "l", 0 }, { "n", 1, "n" }, { 0, 0 }, { "L", "n", "L" }, { "line" },
  { "all", "number" }, { "l", "x" }, { "x" }, { "" }, { "*" }, { "**l" }, { " l" }, { "A" },
    { "N" },
  { true }, { {} }, { "l", {} }, { "3" }, { 3, nil }, { 1, 2, 3, 4, 5, 6 },
}
for t = 1, #texts, every do
  local text = texts[t]
  local name = path(text)
  for f, format in ipairs(formats) do
    local file = assert(io.open(name, "rb"))
    local label = ("read %d %d"):format(t, f)
    for round = 1, 3 do
      case(label .. "." .. round, function() return file:read(unpack(format)) end)
    end
    case(label .. " at", function() return file:seek() end)
    file:close()
  end
  for f, format in ipairs(formats) do
    case(("lines %d %d"):format(t, f), function()
      local values, total = {}, 0
      for a, b in io.lines(name, unpack(format)) do
        total = total + 1
        if total <= 3 then
          table.insert(values, show(a) .. show(b))
        elseif total > 5000 then
          break
        end
      end
      return total, unpack(values)
    end)
  end
end

-- Where LuaJIT's buffer for a line ends, what is behind a NUL byte is seen.
for i, length in ipairs { 700, 8190, 8191, 8192, 20000 } do
  for j, text in ipairs {
    ("z"):rep(700) .. "\0" .. ("w"):rep(length) .. "\n22\nend",
    ("w"):rep(length) .. "\0\0x\n22\nend",
    "\0" .. ("w"):rep(length) .. "\0x" .. ("v"):rep(9000) .. "\0",
    ("w"):rep(length) .. "\n\0" .. ("v"):rep(length),
  } do
    local name = path(text)
    for _, next_line in ipairs { io.lines(name), io.lines(name, "L"), io.open(name):lines() } do
      case(("long line %d %d"):format(i, j), function()
        local lines = {}
        for line in next_line do table.insert(lines, #line .. show(line)) end
        return unpack(lines)
      end)
    end
    os.remove(name)
  end
end

-- Wrong calls, in all the ways in which a function has a name -----------------------------------

local name = path "one\ntwo\n3 4\n"
local closed = io.open(name)
closed:close()
local readable, writable = io.open(name), io.open(path(), "w")
local methods = { "read", "write", "lines", "seek", "setvbuf", "flush", "close" }
local selves = { readable, writable, closed, io.stdout, 5, "text", {}, false, newproxy(), print }
local arguments = {
  {}, { "x" }, { "set" }, { "set", "x" }, { "set", {} }, { "cur", 1.5 }, { "end", "2" }, { "set",
    -1 },
  { nil, nil }, { nil, 3 }, { "no" }, { "line", 100 }, { "full", "x" }, { {} }, { "l", "x" },
    { 1, {} },
  { true }, { "a", nil }, { nil, "a" }, { -1, "x" }, { 5, 5 }, { "foo", 5 },
}
for _, method in ipairs(methods) do
  for s, self in ipairs(selves) do
    for a, given in ipairs(arguments) do
      local label = ("%s %d %d"):format(method, s, a)
      local n = table.maxn(given)
      local harmless = not (s <= 2 and (method == "close" or method == "setvbuf"))
      harmless = harmless and not (s == 4 and method ~= "lines")
      if harmless then
        local fn = readable[method]
        case(label .. " plain", fn, self, unpack(given, 1, n))
        case(label .. " local", function()
          local f = fn
          f(self, unpack(given, 1, n))
        end)
        case(label .. " field", function()
          local t = { f = fn }
          return t.f(self, unpack(given, 1, n))
        end)
        if s <= 3 then
          case(label .. " method", function()
            local value = self[method](self, unpack(given, 1, n))
            return type(value)
          end)
          case(label .. " colon", function()
            if method == "read" then self:read(unpack(given, 1, n)) end
            if method == "write" then self:write(unpack(given, 1, n)) end
            if method == "lines" then self:lines(unpack(given, 1, n))() end
            if method == "seek" then self:seek(unpack(given, 1, n)) end
          end)
        end
      end
    end
    case(method .. s .. " nothing", readable[method])
  end
end
for _, fn in ipairs { "open", "popen", "lines", "input", "output", "close", "type", "tmpfile" } do
  for a, given in ipairs {
    {}, { nil }, { {} }, { "/nope/x" }, { "/nope/x", "w" }, { name, "q" }, { name, "" }, { name,
      {} },
    { name, 5 }, { true }, { closed }, { name, "r", "x" }, { "" }, { dir }, { dir, "w" },
    { name .. "\0x" }, { name, "r\0w" }, { name, "rw" }, { name, "r+b" }, { 5 }, { io.stdout },
    { readable }, { newproxy() }, { name .. "/x" }, { ("x"):rep(300) }, { ("x/"):rep(3000) },
    { name, "wx" }, { dir .. "/new1", "wx" }, { "/dev/null", "a+" },
  } do
    local n = table.maxn(given)
    local harmless = not (fn == "popen" and n > 1 and type(given[1]) == "string")
    harmless = harmless and not ((fn == "output" or fn == "input") and a > 1)
    harmless = harmless and not (fn == "close" and (a == 1 or a == 21 or a == 22))
    harmless = harmless and not (fn == "lines" and (a <= 2))
    harmless = harmless and not (fn == "popen" and type(given[1]) == "string")
    if harmless then
      local label = ("io.%s %d"):format(fn, a)
      case(label, io[fn], unpack(given, 1, n))
      case(label .. " called", function()
        local value, message, code = io[fn](unpack(given, 1, n))
        return type(value), message, code
      end)
      case(label .. " first", function()
        return (io[fn](unpack(given, 1, n)))()
      end)
    end
  end
end
case("io.write", function() io.write({}) end)
case("io.write 2", function() local w = io.write w("", nil) end)
case("io.write 3", io.write, "", "", function() end)
case("print", function() return print == io.write end)

-- Writing ---------------------------------------------------------------------------------------

local writes = {
  {}, { "" }, { "a" }, { "a", 1, 2.5, -3, 1e100, 0 / 0, 1 / 0, 2 ^ 53, 0.1 }, { ("x"):rep(4095) },
  { ("x"):rep(4096) }, { ("x"):rep(4097) }, { ("x"):rep(10000), "y" }, { ("x"):rep(4095), "yz" },
  { "a\nb" }, { "\n" }, { ("ab\n"):rep(3000) }, { "a\n" .. ("x"):rep(4100) },
  { ("x"):rep(4100) .. "\nb" }, { ("x"):rep(4095) .. "\n" .. ("y"):rep(5000) },
}
for _, mode in ipairs { "w", "a", "r+", "w+", "a+", "wb", "rb+", "r" } do
  for _, buffering in ipairs { "none given", "no", "line", "full" } do
    for w = 1, #writes, every do
      local values = writes[w]
      local target = path "0123456789\n0123456789\n"
      local file = io.open(target, mode)
      local label = ("write %s %s %d"):format(mode, buffering, w)
      if buffering ~= "none given" then
        case(label .. " setvbuf", file.setvbuf, file, buffering)
      end
      case(label, file.write, file, unpack(values))
      tell(label .. " before", content_of(target))
      case(label .. " at", file.seek, file)
      case(label .. " again", file.write, file, "again\n")
      tell(label .. " on disk", content_of(target))
      case(label .. " flush", file.flush, file)
      tell(label .. " flushed", content_of(target))
      case(label .. " more", file.write, file, "more")
      case(label .. " close", file.close, file)
      tell(label .. " after", content_of(target))
      os.remove(target)
    end
  end
end
for _, full in ipairs { "/dev/full" } do
  for _, buffering in ipairs { "no", "line", "full" } do
    local file = io.open(full, "w")
    local label = "full " .. buffering
    case(label, file.setvbuf, file, buffering)
    case(label .. " 1", file.write, file, "x\n")
    case(label .. " 2", file.write, file, ("x"):rep(5000))
    case(label .. " 3", file.flush, file)
    case(label .. " 4", file.write, file, "y")
    case(label .. " 5", file.seek, file)
    case(label .. " 6", file.close, file)
  end
end
for _, from in ipairs { "none given", "no", "line", "full" } do
  for _, to in ipairs { "no", "line", "full" } do
    for _, target in ipairs { path "0123456789", "/dev/full" } do
      local file, is_full = io.open(target, "r+"), target == "/dev/full"
      local label = ("buffering %s %s %s"):format(from, to, is_full)
      if from ~= "none given" then
        case(label .. " from", file.setvbuf, file, from)
      end
      case(label .. 1, file.write, file, "some\n", "more")
      case(label .. 2, file.setvbuf, file, to)
      tell(label .. " on disk", is_full or content_of(target))
      case(label .. 3, file.write, file, "x")
      tell(label .. " then", is_full or content_of(target))
      case(label .. 4, file.close, file)
    end
  end
end
case("directory", function() return io.open(dir):read() end)
case("directory n", function() return io.open(dir):read "n" end)
case("directory a", function() return io.open(dir):read "a" end)
case("directory 5", function() return io.open(dir):read(5) end)
case("directory 0", function() return io.open(dir):read(0) end)
case("directory lines", function() for _ in io.lines(dir) do end end)
case("directory lines n", function() for _ in io.lines(dir, "n") do end end)
case("proc seek", function()
  local file = io.open "/proc/self/status"
  return file:read(5), file:seek "end", file:seek("end", -1), file:seek("set", 2), file:read(3)
end)
case("directory seek", function() return io.open(dir):seek "set" end)

-- Reading and writing by turns ------------------------------------------------------------------

for _, mode in ipairs { "r+", "w+", "a+" } do
  local target = path(("0123456789\n"):rep(1000))
  local file = io.open(target, mode)
  local label = "turns " .. mode
  case(label .. 1, file.read, file, 5)
  case(label .. 2, file.seek, file, "cur", 0)
  case(label .. 3, file.write, file, "XX")
  case(label .. 4, file.seek, file)
  case(label .. 5, file.seek, file, "set", 3)
  case(label .. 6, file.read, file, "l")
  case(label .. 7, file.seek, file, "end", -4)
  case(label .. 8, file.read, file, "a")
  case(label .. 9, file.write, file, ("tail"):rep(3000))
  case(label .. 10, file.seek, file, "set", 6000)
  case(label .. 11, file.read, file, 10)
  case(label .. 12, file.seek, file, "cur", -3)
  case(label .. 13, file.read, file, 3)
  case(label .. 14, file.flush, file)
  case(label .. 15, file.seek, file, "cur", 5)
  case(label .. 16, file.write, file, "mid")
  case(label .. 17, file.flush, file)
  case(label .. 18, file.read, file, 2)
  case(label .. 19, file.close, file)
  tell(label .. " in all", content_of(target))
end

-- Default files, tostring, type, close ----------------------------------------------------------

case("input", function()
  local before = io.input()
  local file = io.input(name)
  local a, b = io.read("l", "n")
  local lines = {}
  for line in io.lines() do table.insert(lines, line) end
  local same, kind = file == io.input(), io.type(file)
  file:close()
  local ok, message = pcall(io.read)
  local ok2, message2 = pcall(function() return io.lines()() end)
  io.input(before)
  return a, b, table.concat(lines, "|"), same, kind, ok, message, ok2, message2
end)
case("output", function()
  local before, target = io.output(), path()
  local file = io.output(target)
  io.write("some ", 5, "\n")
  local flushed = io.flush()
  local content = content_of(target)
  io.write("more")
  local shut = io.close()
  local ok, message = pcall(io.write, "x")
  local ok2, message2 = pcall(io.close)
  local ok3, message3 = pcall(io.flush)
  local ok4, message4 = pcall(function() io.write "x" end)
  io.output(before)
  return tostring(file), flushed, content, shut, content_of(target), ok, message, ok2, message2,
    ok3, message3, ok4, message4
end)
case("lines close", function()
  local iterate = io.lines(name)
  for _ = 1, 3 do iterate() end
  return iterate(), pcall(iterate)
end)
case("lines close n", function()
  local iterate = io.lines(name, "l")
  for _ = 1, 3 do iterate() end
  local last = iterate()
  return last, pcall(iterate)
end)
case("lines of closed", function()
  local file = io.open(name)
  local iterate = file:lines()
  local first = iterate()
  file:close()
  return first, pcall(iterate)
end)
case("lines of closed in for", function()
  local file = io.open(name)
  for _ in file:lines() do file:close() end
end)
case("lines many", io.lines, name, unpack({}, 1, 70))
case("lines many 2", function() return io.lines(name, unpack({}, 1, 30))() end)
case("lines from", function()
  local values = {}
  for a, b in io.open(name):lines("l", 1) do table.insert(values, a .. "/" .. tostring(b)) end
  return unpack(values)
end)
case("type", function()
  return io.type(closed), io.type(readable), io.type(5), io.type(io.stdout), tostring(closed),
    tostring(io.stdout):gsub("0x%x+", "")
end)
case("standard close", function() return io.stdout:close() end)
case("standard close 2", function() return io.stderr:close(), io.close(io.stdout) end)
case("tmpfile", function()
  local file = io.tmpfile()
  file:write("abc\n", 5)
  file:seek "set"
  return file:read("l", "n"), io.type(file), file:close()
end)
case("collected", function()
  local target = path()
  do
    local file = io.open(target, "w")
    file:write "kept"
  end
  collectgarbage()
  collectgarbage()
  if crowd then
    require("halo").sleep(0.01)
  end
  return content_of(target)
end)
case("string method", function() return io.open(name):read("l"):upper() end)
case("nested", function()
  local lines = {}
  for a in io.lines(name) do
    for b in io.lines(name) do
      table.insert(lines, a .. b)
    end
  end
  return unpack(lines)
end)
case("in sort", function()
  local t = { 3, 1, 2 }
  table.sort(t, function(a, b)
    local file = io.open(name)
    local line = file:read()
    file:close()
    return a < b and line == "one"
  end)
  return unpack(t)
end)
case("in gsub", function()
  return (("a b c"):gsub("%a", function(letter)
    local file = io.open(name)
    local text = file:read "a"
    file:close()
    return letter .. #text
  end))
end)
case("in coroutine", function()
  local next_line = coroutine.wrap(function()
    for line in io.lines(name) do coroutine.yield(line) end
  end)
  return next_line(), next_line(), next_line()
end)
case("metatable", function()
  local meta = getmetatable(io.stdout)
  return type(meta.__gc), type(meta.__tostring), meta.__index == meta, meta.__name
end)

-- os --------------------------------------------------------------------------------------------

case("remove", function()
  local target = path "x"
  return os.remove(target), os.remove(target)
end)
case("remove 2", os.remove, "/nope/x")
case("remove 3", os.remove, dir)
case("remove 4", os.remove)
case("remove 5", os.remove, {})
case("remove 6", function() os.remove(nil) end)
case("remove 7", os.remove, "")
case("remove 8", os.remove, name .. "/x")
case("rename", function()
  local from, to = path "x", path()
  return os.rename(from, to), content_of(to), os.rename(from, to)
end)
case("rename 2", os.rename, "/nope/x", "/nope/y")
case("rename 3", os.rename, "a")
case("rename 4", function() os.rename({}, "x") end)
case("rename 5", os.rename, name, dir)
case("rename 6", os.rename, name, "/nope/x/y")
case("tmpname", function()
  local made = os.tmpname()
  local is_there = io.open(made) ~= nil
  return made:gsub("[%w]+$", ""), is_there, os.remove(made)
end)
for _, command in ipairs {
  "true", "false", "exit 3", "kill -9 $$", "kill -TERM $$", "nonexistent-command-x 2>/dev/null",
    "", " ",
  "exit 255", "echo x >" .. dir .. "/by-sh", "test $0 = sh", "read x", "echo 'a b' | grep -q b",
  "exec 1>&-; exit 4", "#", "exit 7\0exit 8",
} do
  case("execute " .. command, os.execute, command)
  case("popen " .. command, function()
    local file = io.popen(command)
    return file:read "a", io.type(file), file:close(), io.type(file)
  end)
end
case("execute", os.execute)
case("execute 2", os.execute, {})
case("execute 3", function() os.execute(true) end)
case("execute number", os.execute, 5)
for i, given in ipairs { { "true", "x" }, { "true", "rw" }, { "true", "" }, { {} }, {}, { "true",
  {} } } do
  case("popen wrong " .. i, io.popen, unpack(given))
end
case("popen lines", function()
  local lines = {}
  for line in io.popen("printf 'a\\nb\\nc'"):lines() do table.insert(lines, line) end
  return unpack(lines)
end)
case("popen write", function()
  local target = path()
  local file = io.popen("cat >" .. target, "w")
  return file:write("some", 5), file:write(("x"):rep(100000)), file:flush(), file:close(),
    #content_of(target)
end)
case("popen seek", function() return io.popen("echo x"):seek() end)
case("popen misuse", function() return io.popen("true"):write "x" end)
case("popen misuse 2", function() return io.popen("cat", "w"):read() end)
case("popen flushes", function()
  local target = path()
  local file = io.open(target, "w")
  file:write "not flushed"
  local reader = io.popen("cat " .. target)
  local text = reader:read "a"
  reader:close()
  return text, file:close()
end)
case("popen big", function()
  local file = io.popen "head -c 300000 /dev/zero"
  local text = file:read "a"
  return #text, file:close()
end)
case("popen many", function()
  local all = {}
  for i = 1, 20 do all[i] = io.popen("echo " .. i) end
  local echoes = {}
  for i = 20, 1, -1 do
    table.insert(echoes, all[i]:read())
    all[i]:close()
  end
  return table.concat(echoes, ",")
end)
case("popen broken", function()
  local file = io.popen("exit 0", "w")
  os.execute "sleep 0.05"
  return file:close()
end)
case("loadfile", function()
  local target = path "return ...,1"
  return loadfile(target)(5), dofile(target), loadfile "/nope/x"
end)

-- Random programs -------------------------------------------------------------------------------

local seed
local function random(n)
  seed = (seed * 1103515245 + 12345) % 2 ^ 31
  return math.floor(seed / 65536) % n + 1
end

local function pick(list)
  return list[random(#list)]
end

local pieces = { "", "a", "12 ", "\n", "-3.5e2\n", ("z"):rep(700), "line\n", "0x1f ",
  ("\n"):rep(9), " " }
local steps = {
  function(f) return f:write(pick(pieces), pick(pieces)) end,
  function(f) return f:write(random(1000), " ", random(7) / 8, "\n") end,
  function(f) return f:write(pick(pieces):rep(random(9))) end,
  function(f) return f:seek("set", random(3000) - 1) end,
  function(f) return f:seek("cur", random(50) - 25) end,
  function(f) return f:seek("end", -random(40)) end,
  function(f) return f:seek() end,
  function(f) return f:seek("set") end,
  function(f) f:seek("cur", 0) return f:read("l") end,
  function(f) f:seek("cur", 0) return f:read("L", "l") end,
  function(f) f:seek("cur", 0) return f:read("n", "n", "l") end,
  function(f) f:seek("cur", 0) return f:read(random(6000) - 1) end,
  function(f) f:seek("cur", 0) return #f:read("a") end,
  function(f) f:seek("cur", 0) return f:read(0, 3) end,
  function(f) f:seek("set", 0) local n = 0 for l in f:lines() do n = n + #l end return n end,
  function(f) return f:flush() end,
  function(f) return f:setvbuf(pick { "no", "line", "full" }) end,
}
for program = 1, 300, every > 20 and every or 1 do
  seed = program * 7919
  local target = path(("0123 5\n"):rep(random(900)))
  local file = io.open(target, pick { "r+", "w+", "r+", "a+", "r", "w" })
  local results = {}
  for _ = 1, 20 + random(30) do
    local step = random(#steps)
    for _ = 1, random(3) do
      if step > 8 and step < 16 and random(2) == 1 then
        file:flush()
      end
      local values = { pcall(steps[step], file) }
      for i = 1, table.maxn(values) do
        values[i] = show(values[i])
      end
      table.insert(results, step .. "=" .. table.concat(values, ","))
    end
    if step <= 3 then
      file:seek("cur", 0)
    end
  end
  table.insert(results, tostring(file:close()))
  tell("program " .. program, table.concat(results, " "), content_of(target))
  os.remove(target)
end

crowd = false
table.insert(out, "")
io.write(table.concat(out, "\n"))
