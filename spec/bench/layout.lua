-- Where the jobs' files are and which one comes when: the same for every language. The C side has
-- its twin of this in loops.h.

local bit = require "bit"

local layout = {
  PAGE = 4096,
  READ_SIZE = 128 * 1024 * 1024, -- read.data
  WRITE_SIZE = 64 * 1024 * 1024, -- write.data
  WRITE_FILES = 64, -- write/0 and so on
  WRITE64_SIZE = 1024 * 1024, -- of each of them
  LINE = 128, -- bytes of an append
  SMALL_MAX = 8192, -- bytes of a small file, at the most
  CONTENT = 1024, -- bytes of a file that comes and goes
}

local PER_FOLDER = 100
local SEED = 1

---Offsets of pages, as next_offset() in loops.h makes them.
---@param count integer
---@param size integer the file's
---@return integer[]
function layout.offsets(count, size)
  local offsets, pages, x = {}, size / layout.PAGE, SEED
  for i = 1, count do
    x = bit.bxor(x, bit.lshift(x, 13))
    x = bit.bxor(x, bit.rshift(x, 17))
    x = bit.bxor(x, bit.lshift(x, 5))
    offsets[i] = bit.rshift(x, 8) % pages * layout.PAGE
  end
  return offsets
end

---The folders of a tree, and its files.
---@param root string
---@param count integer of files
---@return string[] folders
---@return string[] files
function layout.tree(root, count)
  local folders, files = {}, {}
  for i = 0, count - 1 do
    local folder = ("%s/%03d"):format(root, math.floor(i / PER_FOLDER))
    if i % PER_FOLDER == 0 then folders[#folders + 1] = folder end
    files[i + 1] = ("%s/%05d"):format(folder, i)
  end
  return folders, files
end

---The names that a file which comes and goes has: at first, and after it was renamed.
function layout.cycle(directory, count)
  local first, second = {}, {}
  for i = 1, count do
    first[i] = ("%s/cycle/%d.new"):format(directory, i)
    second[i] = ("%s/cycle/%d"):format(directory, i)
  end
  return first, second
end

---Hands out 1 to count, and then nil: all tasks together keep the order of the items.
function layout.counter(count)
  local item = 0
  return function()
    if item < count then
      item = item + 1
      return item
    end
  end
end

return layout
