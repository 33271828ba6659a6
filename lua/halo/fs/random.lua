-- Names that nobody guesses, for files that stand only for a while.

local ffi -- asked for only once it is needed: a host may have taken it away
local LETTERS = "abcdefghijklmnopqrstuvwxyz234567" -- alike on file systems that know no case
local BYTES_MAX = 255 -- a name is no longer, and so many come from getrandom() in one piece

---@param count integer of letters, at most 255
---@return string
return function(count)
  if not ffi then
    ffi = require "ffi"
    ffi.cdef "ssize_t getrandom(void *data, size_t size, unsigned flags);"
  end
  local bytes = ffi.new("uint8_t[?]", BYTES_MAX)
  while ffi.C.getrandom(bytes, BYTES_MAX, 0) ~= BYTES_MAX do end -- a signal came between
  local letters = {}
  for i = 1, math.min(count, BYTES_MAX) do
    local at = bytes[i - 1] % #LETTERS + 1
    letters[i] = LETTERS:sub(at, at)
  end
  return table.concat(letters)
end
