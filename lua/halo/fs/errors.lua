-- How calls that take several operations word a failure, so that it reads as one operation's.

local errors = {}

---A message about one path, as one about another.
---@param message string "ENOENT: no such file or directory: name"
---@param name string
---@param path string
---@return string
function errors.with_path(message, name, path)
  if message:sub(-#name - 2) == ": " .. name then
    return message:sub(1, -#name - 1) .. path
  end
  return message .. ": " .. path
end

---A message about a path or what is below it, as one about another path.
---@param message string
---@param name string which occurs in no other place of the message
---@param path string
---@return string
function errors.with_root(message, name, path)
  local trimmed = path:match "^(.*[^/])/*$" or path
  local from, to = message:find(name, 1, true)
  if not from then
    return message
  end
  local is_below = message:sub(to + 1, to + 1) == "/"
  return message:sub(1, from - 1) .. (is_below and trimmed or path)
    .. errors.with_root(message:sub(to + 1), name, path)
end

---What a fence says of a call that it has refused, without the code and the path; or nil.
---@param message any
---@return string?
function errors.refusal(message)
  return type(message) == "string" and message:match "^EACCES: (not allowed[^:]*)" or nil
end

---What the operating system would answer: nil, a message and the code.
---@param code string
---@param text string
---@param path string
---@return nil
---@return string message
---@return string code
function errors.refuse(code, text, path)
  return nil, ("%s: %s: %s"):format(code, text, path), code
end

---The metatable of what assert_ok() raises: nil, message and code.
local Failure = {}

---Of a value, or nil, message, code: returns the value, or ends the whole call by raising what
---caught() makes a refusal of, with a message about the path that the user knows.
---@param path string
---@return any value
function errors.assert_ok(path, value, message, code)
  if value == nil then
    local text = message:match "^%w+: ([^:]*)"
    error(setmetatable({ errors.refuse(code, text, path) }, Failure), 0)
  end
  return value
end

---Whether an error is one of those: unpack(err, 1, 3) is the refusal.
---@param err any
---@return boolean
function errors.caught(err)
  return type(err) == "table" and getmetatable(err) == Failure
end

return errors
