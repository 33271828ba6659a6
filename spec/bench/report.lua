-- Of the figures of all rounds: medians, the ratio to the better C loop, and the table.

local report = {}

local SCALE = { us = 1e3, ms = 1e6 }
local HALO = { auto = true, ring = true, pool = true }

---@param numbers number[]
---@return number
function report.median(numbers)
  local sorted = { unpack(numbers) }
  table.sort(sorted)
  local n = #sorted
  return (sorted[math.floor((n + 1) / 2)] + sorted[math.floor(n / 2) + 1]) / 2
end

---halo's time divided by the better C loop's, both of the same round; the median of that.
local function ratio_of(figures, medians)
  local better = medians.plain
  local key = "plain"
  if medians.uring and (not better or medians.uring < better) then key = "uring" end
  if not medians[key] then return nil end
  local ratios = {}
  for round, number in ipairs(figures.auto) do ratios[round] = number / figures[key][round] end
  return report.median(ratios), key
end

---A row of the table: one job at one number of tasks.
---@param job bench.Job
---@param tasks integer?
---@param figures table<string, number[]> nanoseconds of each round, by column
function report.row(job, tasks, figures)
  local medians = {}
  for key, numbers in pairs(figures) do medians[key] = report.median(numbers) end
  local ratio, to = ratio_of(figures, medians)
  return {
    job = job.name, title = job.title, unit = job.unit, tasks = tasks,
    counts = job.passes and "pass" or "task",
    median_ns = medians, ratio = ratio, ratio_to = to, rounds_ns = figures,
  }
end

local function number(value)
  if not value then return "-" end
  return ("%." .. (value < 9.995 and 2 or value < 99.95 and 1 or 0) .. "f"):format(value)
end

local function heading(columns)
  local names = { ("%-12s"):format "" }
  for _, column in ipairs(columns) do
    local title = HALO[column.key] and "halo " .. column.title or column.title
    names[#names + 1] = ("%10s"):format(title)
    if column.key == "uring" then names[#names + 1] = ("%9s"):format "auto/C" end
  end
  return table.concat(names)
end

local function line(row, columns)
  local label = ""
  if row.tasks then
    local plural = row.tasks == 1 and "" or row.counts == "pass" and "es" or "s"
    label = ("%5d %s%s"):format(row.tasks, row.counts, plural)
  end
  local cells = { ("%-12s"):format(label) }
  for _, column in ipairs(columns) do
    local ns = row.median_ns[column.key]
    cells[#cells + 1] = ("%10s"):format(number(ns and ns / SCALE[row.unit]))
    if column.key == "uring" then cells[#cells + 1] = ("%9s"):format(number(row.ratio)) end
  end
  return (table.concat(cells):gsub("%s+$", ""))
end

---@param rows table[]
---@param columns bench.Column[]
function report.print(rows, columns)
  print(heading(columns))
  local last
  for _, row in ipairs(rows) do
    if row.job ~= last then
      print(("%s, %s"):format(row.title, row.unit == "us" and "µs each" or "ms in all"))
    end
    last = row.job
    print(line(row, columns))
  end
end

return report
