-- Which branches of core/ and bindings/ the specs have taken: the second half of `make coverage`.
--
--     coverage.lua BUILD_DIR     which holds objects built with --coverage, and what they counted
--
-- gcov tells how often each branch of each object was taken; what several objects have of one
-- header is added up. Lines of HALO_CHECK are left out, for their other side ends the program. It
-- fails where less than BOUND of core's branches were taken, and where one was not that
-- spec/support/uncovered.lua does not list.

package.path = "./?.lua;" .. package.path

local BOUND = 95 -- percent of core's branches

local listed = require "spec.support.uncovered"

local build_dir = assert(arg[1], "which directory?")

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do
    table.insert(lines, line)
  end
  pipe:close()
  return lines
end

---@class coverage.line
---@field number integer
---@field text string
---@field fn string? the function it stands in
---@field count integer how often it was run
---@field taken integer[] how often each of its branches was taken

---@type table<string, coverage.line[]> by file, then by the line's number
local files = {}

local function line_of(path, number, text)
  files[path] = files[path] or {}
  local line = files[path][number]
  if not line then
    line = { number = number, text = text:match "^%s*(.-)%s*$", count = 0, taken = {} }
    files[path][number] = line
  end
  return line
end

-- Reads what gcov says of one object. A function is named on a line before its first one, a branch
-- on one behind the line it belongs to.
local function read(object)
  local path, line, named
  local command = "gcov --branch-probabilities --branch-counts --stdout '%s' 2>/dev/null"
  for _, text in ipairs(lines_of(command:format(object))) do
    local count, number, source = text:match "^%s*([^:]+):%s*(%d+):(.*)$"
    local branch, taken = text:match "^branch%s+(%d+) (.*)$"
    if number == "0" then
      path, line = source:match "^Source:(.*)$" or path, nil
    elseif number and count ~= "-" then
      line = line_of(path, tonumber(number), source)
      line.count = line.count + (tonumber((count:gsub("%*", ""))) or 0)
      line.fn, named = named or line.fn, nil
    elseif text:find "^function " then
      named = text:match "^function ([^ ]+)"
    elseif branch and line then
      local index = tonumber(branch) + 1
      line.taken[index] = (line.taken[index] or 0) + (tonumber(taken:match "taken (%d+)") or 0)
    end
  end
end

-- Lines with the functions they stand in, in order.
local function ordered(path)
  local numbers = {}
  for number in pairs(files[path]) do
    table.insert(numbers, number)
  end
  table.sort(numbers)
  local fn
  local lines = {}
  for _, number in ipairs(numbers) do
    local line = files[path][number]
    fn = line.fn or fn
    line.fn = fn
    table.insert(lines, line)
  end
  return lines
end

local function is_assertion(line)
  return line.text:find("HALO_CHECK(", 1, true) ~= nil
end

-- How many branches of a line may be left: as many as its entry in the list says.
local function allowed(path, line)
  for _, entry in ipairs(listed) do
    if entry.file == path and entry.fn == line.fn and entry.text == line.text then
      entry.seen = true
      return entry.branches or 1, entry.why
    end
  end
  return 0
end

local function measure(path, sum, unlisted)
  for _, line in ipairs(ordered(path)) do
    if not is_assertion(line) then
      sum.lines, sum.lines_run = sum.lines + 1, sum.lines_run + (line.count > 0 and 1 or 0)
      local left = 0
      for _, taken in ipairs(line.taken) do
        sum.branches, sum.taken = sum.branches + 1, sum.taken + (taken > 0 and 1 or 0)
        left = left + (taken > 0 and 0 or 1)
      end
      local may, why = allowed(path, line)
      if left > 0 and path:find "^core/" then
        local text = ("%s:%d: %s: %s\n    %d of %d not taken"):format(path, line.number, line.fn,
          line.text, left, #line.taken)
        if left <= may then
          print(text .. ": " .. why)
        else
          table.insert(unlisted, ("%s, %d of them listed"):format(text, may))
        end
      end
    end
  end
end

local function new_sum()
  return { lines = 0, lines_run = 0, branches = 0, taken = 0 }
end

local function percent(part, whole)
  return whole == 0 and 100 or 100 * part / whole
end

local function show(name, sum)
  print(("%-34s %6d %6.1f %%   %6d %6.1f %%"):format(name, sum.lines,
    percent(sum.lines_run, sum.lines), sum.branches, percent(sum.taken, sum.branches)))
end

for _, object in ipairs(lines_of("find '" .. build_dir .. "' -name '*.gcda' | sort")) do
  read((object:gsub("%.gcda$", ".o")))
end

local paths, groups, rows, unlisted = {}, {}, {}, {}
for path in pairs(files) do
  if path:find "^core/" or path:find "^bindings/" then
    table.insert(paths, path)
  end
end
table.sort(paths)

for _, path in ipairs(paths) do
  local sum, group = new_sum(), path:match "^[^/]+"
  measure(path, sum, unlisted)
  table.insert(rows, { path, sum })
  groups[group] = groups[group] or new_sum()
  for key, value in pairs(sum) do
    groups[group][key] = groups[group][key] + value
  end
end

print(("\n%-34s %6s %8s   %6s %8s"):format("", "lines", "run", "branch", "taken"))
for _, row in ipairs(rows) do
  show(row[1], row[2])
end
show("core", groups.core)
show("bindings", groups.bindings)

local failed = false
if #unlisted > 0 then
  print("\nnot taken, and not listed in spec/support/uncovered.lua:\n" ..
    table.concat(unlisted, "\n"))
  failed = true
end
for _, entry in ipairs(listed) do
  if not entry.seen then
    print(("\nlisted, and nowhere in the sources: %s: %s: %s"):format(entry.file, entry.fn,
      entry.text))
    failed = true
  end
end
if percent(groups.core.taken, groups.core.branches) < BOUND then
  print(("\nfewer than %d %% of core's branches were taken"):format(BOUND))
  failed = true
end
os.exit(failed and 1 or 0)
