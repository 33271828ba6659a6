-- Those that wait for something, in the order in which they came: a ring of entries, linked both
-- ways, so that one that gives up is gone at once, however many wait: the list itself stands
-- between the last and the first. An entry is a table of its owner's, and in one list at most; it
-- is made with next and prev in it (false), since a table that grows costs more than one that is
-- made.

local core = require "halo.core"

local waiters = {}

---@class halo.Waiters
---@field package next halo.Waiters|table
---@field package prev halo.Waiters|table

---@return halo.Waiters
function waiters.new()
  local list = {}
  list.next, list.prev = list, list
  return list
end

function waiters.push(list, entry)
  local last = list.prev
  entry.next, entry.prev = list, last
  last.next, list.prev = entry, entry
end

---Takes an entry out of its list; nothing happens where it is in none.
function waiters.remove(entry)
  local next, prev = entry.next, entry.prev
  if next then
    next.prev, prev.next = prev, next
    entry.next, entry.prev = false, false
  end
end

---@return table? entry the one that has waited longest
function waiters.pop(list)
  local entry = list.next
  if entry == list then
    return nil
  end
  waiters.remove(entry)
  return entry
end

---Waits until the entry's task, the running one, is woken. Where it is cancelled instead the entry
---is taken out, and the cancellation raised.
---@async
---@param list halo.Waiters
---@param entry { task: halo.Task }
---@param what string that is waited for, as halo.tasks() tells
function waiters.wait(list, entry, what)
  waiters.push(list, entry)
  local ok, err = core.park(what)
  if not ok then
    waiters.remove(entry)
    error(err, 0)
  end
end

return waiters
