-- What is typed at the prompt, as a function. An expression is a statement that returns it. Locals
-- live on: those that a line declares outside of any block become variables of the session, which
-- stand before the globals in all lines that follow.

local tokens = require "halo.terminal.tokens"

local NAME = "=stdin"
local PIECE_LINES_MAX = 1000 -- each of which means to compile all before it once more

---What ends what, among the words and signs that open something.
local CLOSERS = {
  ["("] = ")", ["{"] = "}", ["["] = "]",
  ["do"] = "end", ["then"] = "end", ["function"] = "end", ["repeat"] = "until",
}
local is_closer = {}
for _, closer in pairs(CLOSERS) do
  is_closer[closer] = true
end

---@class halo.Chunks the session's variables, and how its lines become functions
---@field private variables table<string, any>
---@field private declared table<string, true> the names that are variables, be they nil
---@field private environment table
local Chunks = {}
Chunks.__index = Chunks

local chunk = {}

---@param globals table
---@return halo.Chunks
function chunk.new(globals)
  local variables, declared = {}, {}
  local environment = setmetatable({}, {
    __index = function(_, name)
      if declared[name] then
        return variables[name]
      end
      return globals[name]
    end,
    __newindex = function(_, name, value)
      (declared[name] and variables or globals)[name] = value
    end,
  })
  return setmetatable({
    variables = variables, declared = declared, environment = environment,
  }, Chunks)
end

---@class halo.OpenState what is open at the end of a piece of code
---@field open string[] the words and signs that opened it, the innermost last
---@field string boolean? a string or a comment is

---Goes through code, and tells of each token outside of strings and comments how deep it is in.
---@param code string
---@param visit fun(text: string, first: integer, last: integer, depth: integer)?
---@return halo.OpenState
local function scan(code, visit)
  local open = {}
  for kind, first, last in tokens.each(code) do
    if not last then
      return { open = open, string = true }
    elseif kind == "name" or kind == "sign" then
      local text = code:sub(first, last)
      if is_closer[text] or text == "elseif" or text == "else" then
        open[#open] = nil
      end
      if visit then
        visit(text, first, last, #open)
      end
      if CLOSERS[text] or text == "else" then
        open[#open + 1] = text
      end
    end
  end
  return { open = open }
end

---Where the outermost declarations of locals are, and the names they declare.
local function find_locals(code)
  local found, latest = {}, nil
  scan(code, function(text, first, last, depth)
    if depth > 0 then
      return
    elseif text == "local" then
      latest = { first = first, last = last, names = {}, wants = "name" }
      found[#found + 1] = latest
    elseif not latest then
      return
    elseif latest.wants == "name" and text == "function" then
      latest.is_function = true
    elseif latest.wants == "name" then
      latest.names[#latest.names + 1] = text
      latest.stop = last
      latest.wants = "comma"
      if latest.is_function then
        latest = nil
      end
    elseif text == "," then
      latest.wants = "name"
    else
      latest.is_set = text == "="
      latest = nil
    end
  end)
  return found
end

---The code with assignments to variables in the place of declarations.
local function without_locals(code, found)
  local parts, at = {}, 1
  for _, declaration in ipairs(found) do
    parts[#parts + 1] = code:sub(at, declaration.first - 1)
    at = declaration.last + 1
    if not declaration.is_set and not declaration.is_function then
      parts[#parts + 1] = code:sub(at, declaration.stop) .. " = nil"
      at = declaration.stop + 1
    end
  end
  return table.concat(parts) .. code:sub(at)
end

---An expression as a function that returns it. Not by a tail call: an error is to name its line.
local function load_expression(code)
  local expression = code:gsub("^%s*=", "")
  local fn, message = load("return " .. expression, NAME, "t")
  local call = "return (function(...) return ... end)(" .. expression
  if fn then -- a comment at the end would hide the parenthesis
    fn = load(call .. ")", NAME, "t") or load(call .. "\n)", NAME, "t") or fn
  end
  return fn, message
end

---LuaJIT leaves out a first line that begins with #, as a script's may.
local function load_all(code)
  return load((code:gsub("^#", " #")), NAME, "t")
end

---Statements as a function, and the locals that they declare.
local function load_statements(code)
  local fn, message = load_all(code)
  local found = fn and find_locals(code) or {}
  if found[1] then
    fn = assert(load_all(without_locals(code, found)))
  end
  return fn, message, found
end

---A quoted string goes on in the next line only behind a backslash.
local function is_incomplete(message, code)
  local quoted = message:find("unfinished string", 1, true)
  return message:find("near '<eof>'", 1, true) and (not quoted or code:sub(-1) == "\\")
end

---@param code string
---@return function? chunk
---@return string|table message_or_locals why there is none, or the locals that it declares
---@return halo.OpenState? state where more lines are needed
local function load_chunk(code)
  local fn, no_expression = load_expression(code)
  if fn then
    return fn, {}
  end
  local message, found
  fn, message, found = load_statements(code)
  if fn then
    return fn, found
  end
  local incomplete = is_incomplete(message, code) or is_incomplete(no_expression, code)
  return nil, message, incomplete and scan(code) or nil
end

---Compiles what was typed. What is compiled here LuaJIT leaves uncompiled, so that Ctrl-C ends it.
---@param code string
---@return function? chunk
---@return string? message
---@return halo.OpenState? state where more lines are needed
function Chunks:compile(code)
  local fn, found, state = load_chunk(code)
  if not fn then
    return nil, found, state
  end
  for _, declaration in ipairs(found) do
    for _, name in ipairs(declaration.names) do
      self.declared[name] = true
    end
  end
  if jit then
    jit.off(fn, true)
  end
  return setfenv(fn, self.environment)
end

---Splits lines that are no chunk together into pieces that are one each, as where they are
---expressions, or commands. The last may want further lines. Each begins with as many empty lines
---as there are lines above it, so that errors name its place.
---@param code string
---@param is_command fun(line: string): boolean
---@return string[]? pieces nil where one is neither
---@return string? message why it is not
function chunk.split(code, is_command)
  local pieces, lines, above = {}, {}, 0
  for line in (code .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line
    local piece = ("\n"):rep(above) .. table.concat(lines, "\n")
    local fn, message, state = true, nil, nil
    if is_command(lines[1]) then
      piece = lines[1]
    else
      fn, message, state = load_chunk(piece)
    end
    if fn then
      pieces[#pieces + 1] = piece:find "%S" and piece or nil
      lines, above = {}, above + #lines
    elseif not state or #lines > PIECE_LINES_MAX then
      return nil, message
    end
  end
  pieces[#pieces + 1] = lines[1] and ("\n"):rep(above) .. table.concat(lines, "\n")
  return pieces
end

---Several lines as one, which can be edited when it comes from the history. Comments are left out.
---@param code string
---@return string? line nil where the ends of the lines matter
function chunk.on_one_line(code)
  local parts, behind = {}, 1
  for kind, first, last in tokens.each(code) do
    if kind ~= "comment" then
      local gap, text = code:sub(behind, first - 1), code:sub(first, last or -1)
      if text:find "\n" then
        return nil
      elseif gap:find "\n" or gap:find("--", 1, true) then
        gap = " "
      end
      parts[#parts + 1] = parts[1] and gap
      parts[#parts + 1] = text
      behind = (last or #code) + 1
    end
  end
  return table.concat(parts)
end

---A variable of the session, as `_`.
function Chunks:set(name, value)
  self.declared[name] = true
  self.variables[name] = value
end

---A variable of the session.
function Chunks:get(name)
  return self.variables[name]
end

---The names of the session's variables.
---@return table<string, true>
function Chunks:names()
  return self.declared
end

return chunk
