-- The branches of core/ that no spec takes, and why: `make coverage` insists that this is all of
-- them. A place is named by its function and the text of its line; branches says how many of the
-- line's are left, 1 by default. What is listed and was taken after all does no harm.

---@class coverage.uncovered
---@field file string
---@field fn string
---@field text string
---@field branches integer?
---@field why string

---@type coverage.uncovered[]
local uncovered = {}

local function add(file, why, places)
  for _, place in ipairs(places) do
    table.insert(uncovered,
      { file = file, fn = place[1], text = place[2], branches = place[3], why = why })
  end
end

add("core/files.c", "a slot lives for 2^44 files", {
  { "halo_files_vacate", "if (file->generation < GENERATION_MAX)" },
})

return uncovered
