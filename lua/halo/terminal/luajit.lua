-- The options of luajit that are about its compiler and its bytecode: -j, -O and -b. What they do
-- is in the modules jit.*, which come with LuaJIT.

local luajit = {}

---The function start of a module of LuaJIT's.
local function start_of(name)
  local ok, module = pcall(require, "jit." .. name)
  local start = ok and type(module) == "table" and module.start
  if type(start) ~= "function" then
    error("unknown LuaJIT command '" .. name .. "', or LuaJIT's modules jit.* are not installed", 0)
  end
  return start
end

---What stands between commas, as arguments.
local function call(fn, text)
  local words = {}
  for word in ((text or "") .. ","):gmatch "([^,]*)," do
    words[#words + 1] = word
  end
  fn(unpack(words, 1, text and #words or 0))
end

---`on`, `off`, `flush`, or a module as `v`, `p` or `dump`; behind an equals sign its arguments.
---@param text string
function luajit.control(text)
  local name, arguments = text:match "^([^=]*)=?(.*)$"
  call(type(jit[name]) == "function" and jit[name] or start_of(name),
    text:find("=", 1, true) and arguments or nil)
end

---@param text string "" is LuaJIT's default
function luajit.optimise(text)
  local ok, message = pcall(call, jit.opt.start, text ~= "" and text or nil)
  if not ok then
    error(message:gsub("^%[halo%][^:]*:%d+: ", ""), 0)
  end
end

---Saves or lists bytecode.
---@param words string[] the first of them "-b", with an option of its own behind it or without
function luajit.bytecode(words)
  local first = words[1]:match "^%-b(.+)$"
  if first then
    start_of "bcsave"("-" .. first, unpack(words, 2))
  else
    start_of "bcsave"(unpack(words, 2))
  end
end

return luajit
