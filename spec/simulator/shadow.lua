-- What a file may contain, as far as the answers tell: each byte is one of a few, and the size is
-- between two.

local shadow = {}

---@class Shadow
---@field cells table<integer, string> the bytes that may be at an offset; "\0" where there is none
---@field low integer the size at least, and
---@field high integer at most
local Shadow = {}
Shadow.__index = Shadow

function shadow.new()
  return setmetatable({ cells = {}, low = 0, high = 0 }, Shadow)
end

---What may be at an offset.
function Shadow:at(offset)
  return self.cells[offset] or "\0"
end

---The data is there.
function Shadow:write(offset, data)
  for i = 1, #data do
    self.cells[offset + i - 1] = data:sub(i, i)
  end
  if data ~= "" then
    self.low = math.max(self.low, offset + #data)
    self.high = math.max(self.high, offset + #data)
  end
end

---The data may be there, or a part of it.
function Shadow:may_write(offset, data)
  for i = 1, #data do
    local cell = offset + i - 1
    self.cells[cell] = self:at(cell) .. data:sub(i, i)
  end
  if data ~= "" then
    self.high = math.max(self.high, offset + #data)
  end
end

function Shadow:truncate(size)
  for offset in pairs(self.cells) do
    if offset >= size then
      self.cells[offset] = nil
    end
  end
  self.low, self.high = size, size
end

---It may have been cut to that size, or not.
function Shadow:may_truncate(size)
  for offset, cell in pairs(self.cells) do
    if offset >= size then
      self.cells[offset] = cell .. "\0"
    end
  end
  self.low, self.high = math.min(self.low, size), math.max(self.high, size)
end

---Why the data cannot be what a read of n bytes gave, or nil. One that fails on its way gives what
---it has got.
---@param may_be_short boolean?
function Shadow:contradicts(offset, n, data, may_be_short)
  local least = may_be_short and 0 or math.min(n, math.max(0, self.low - offset))
  local most = math.min(n, math.max(0, self.high - offset))
  if #data < least or #data > most then
    return ("a read at %d of %d bytes gave %d, not %d to %d"):format(offset, n, #data, least, most)
  end
  for i = 1, #data do
    local cell, byte = self:at(offset + i - 1), data:sub(i, i)
    if not cell:find(byte, 1, true) then
      return ("at %d there is %q, not one of %q"):format(offset + i - 1, byte, cell)
    end
  end
end

return shadow
