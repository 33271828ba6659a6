-- Iterators that hold a file which the collector is to close.
--
-- LuaJIT takes a function for the only one of its code until there are three. Compiled code keeps
-- the one that it was compiled for, and that its file, for as long as the program runs.

local MADE = 3

---Makes functions whose files compiled code does not keep.
---@param make fun(...): function
---@param ... any what it may be called with at once, to be forgotten
---@return fun(...): function make
return function(make, ...)
  for _ = 1, MADE do
    make(...)
  end
  return make
end
