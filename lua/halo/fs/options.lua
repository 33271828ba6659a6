-- Options that stand for bits of a number.

local options = {}

---The sum of the numbers whose names are set in the options.
---@param set table<string, any>?
---@param numbers table<string, integer>
---@return integer
function options.sum_of(set, numbers)
  local sum = 0
  for name, number in pairs(numbers) do
    if set and set[name] then
      sum = sum + number
    end
  end
  return sum
end

return options
