-- How the calls made of several operations word a failure, so that it reads as one operation's.

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

return errors
