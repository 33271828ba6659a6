-- A first-in-first-out queue.

---@class halo.Queue
local Queue = {}
Queue.__index = Queue

function Queue.new()
  return setmetatable({ first = 1, last = 0 }, Queue)
end

function Queue:push(item)
  self.last = self.last + 1
  self[self.last] = item
end

---@return any # nil when it is empty
function Queue:pop()
  local first = self.first
  if first > self.last then
    return nil
  end
  local item = self[first]
  self[first] = nil
  self.first = first + 1
  return item
end

function Queue:size()
  return self.last - self.first + 1
end

---Takes an item out wherever it stands; nothing happens where it does not.
function Queue:remove(item)
  for i = self.first, self.last do
    if self[i] == item then
      for j = i, self.last do
        self[j] = self[j + 1]
      end
      self.last = self.last - 1
      return
    end
  end
end

return Queue
