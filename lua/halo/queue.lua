-- A first-in-first-out queue: a ring in an array, which grows as it has to. (A table whose keys
-- went up and up would be a hash that is rebuilt for ever, each time with another shape.)

local band = require("bit").band
local new_table = require "table.new"

local SMALL, KEPT = 8, 1024 -- powers of two

---@class halo.Queue
---@field private items table from 0 to mask
---@field private mask integer
---@field private head integer where the first one is
---@field private count integer
local Queue = {}
Queue.__index = Queue

function Queue.new()
  return setmetatable({ items = new_table(SMALL, 0), mask = SMALL - 1, head = 0, count = 0 }, Queue)
end

local function grow(self)
  local items, mask, head, count = self.items, self.mask, self.head, self.count
  local larger = new_table(2 * count, 0)
  for i = 0, count - 1 do
    larger[i] = items[band(head + i, mask)]
  end
  self.items, self.mask, self.head = larger, 2 * count - 1, 0
end

function Queue:push(item)
  if self.count > self.mask then
    grow(self)
  end
  self.items[band(self.head + self.count, self.mask)] = item
  self.count = self.count + 1
end

---@return any # nil when it is empty
function Queue:pop()
  local items, head, count = self.items, self.head, self.count
  if count == 0 then
    return nil
  end
  local item = items[head]
  items[head] = nil
  self.head, self.count = band(head + 1, self.mask), count - 1
  if count == 1 and self.mask >= KEPT then -- what one rush of items took is not kept for ever
    self.items, self.mask, self.head = new_table(SMALL, 0), SMALL - 1, 0
  end
  return item
end

function Queue:size()
  return self.count
end

---The item at a place, of which the first is 1; nil where there is none.
function Queue:at(i)
  if i > self.count then
    return nil
  end
  return self.items[band(self.head + i - 1, self.mask)]
end

---Takes an item out wherever it stands; nothing happens where it does not.
function Queue:remove(item)
  local items, mask, head = self.items, self.mask, self.head
  for i = 1, self.count do
    if self:at(i) == item then
      for j = head + i - 1, head + self.count - 2 do
        items[band(j, mask)] = items[band(j + 1, mask)]
      end
      self.count = self.count - 1
      items[band(head + self.count, mask)] = nil
      return
    end
  end
end

return Queue
