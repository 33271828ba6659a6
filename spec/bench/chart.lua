-- Draws the results of the benchmark as SVG:
--
--     halo spec/bench/chart.lua RESULTS.json CHART.svg
--
-- A panel for each job. With tasks: the time of an item over the number of tasks, both axes
-- logarithmic. Without: a bar for each column.

local fs = require "halo.fs"
local json = require "spec.bench.json"

local WIDTH, HEIGHT = 300, 210 -- of a panel, with its margins
local LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 28
local PANELS_IN_ROW = 3
local LEGEND = 44
local SPAN_MIN = 4 -- from the least to the most of an axis: small differences should look small
local UNITS = { us = { 1e3, "µs" }, ms = { 1e6, "ms" } }

---In the order in which they are drawn, halo last and on top.
local SERIES = {
  { "tools", "du, cp, wc, true", "#999999" },
  { "node", "node", "#8c6d31" },
  { "io", "LuaJIT io, lfs", "#9467bd" },
  { "luv", "luv", "#2ca02c" },
  { "uring", "C, io_uring", "#1f77b4" },
  { "plain", "C, plain calls", "#17a2b8" },
  { "auto", "halo", "#d62728" },
}

local out = {}

local function draw(pattern, ...)
  out[#out + 1] = pattern:format(...)
end

local function text(x, y, anchor, size, words, more)
  draw('<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d"%s>%s</text>', x, y, anchor, size,
    more or "", (words:gsub("&", "&amp;"):gsub("<", "&lt;")))
end

-- ---- what there is to draw ----------------------------------------------------------------------

---The rows of each job, in the order of the table, where they are over the number of tasks.
local function group(rows)
  local panels, by_job = {}, {}
  for _, row in ipairs(rows) do
    local panel = by_job[row.job]
    if not panel and row.counts ~= "pass" then
      panel = { title = row.title, unit = row.unit, rows = {} }
      by_job[row.job], panels[#panels + 1] = panel, panel
    end
    if panel then table.insert(panel.rows, row) end
  end
  return panels
end

local function limits(panel)
  local low, high = math.huge, 0
  for _, row in ipairs(panel.rows) do
    for _, series in ipairs(SERIES) do
      local ns = row.median_ns[series[1]]
      if ns then low, high = math.min(low, ns), math.max(high, ns) end
    end
  end
  return low / 1.25, math.max(high * 1.25, low * SPAN_MIN)
end

-- ---- panels -------------------------------------------------------------------------------------

---1, 2 and 5 times a power of ten; only the powers where those are many.
local function ticks(low, high)
  local found, mantissas = {}, high / low > 60 and { 1 } or { 1, 2, 5 }
  for power = math.floor(math.log10(low)), math.ceil(math.log10(high)) do
    for _, mantissa in ipairs(mantissas) do
      local value = mantissa * 10 ^ power
      if value >= low and value <= high then found[#found + 1] = value end
    end
  end
  return found
end

---A function from a value to its place, logarithmic.
local function scale(low, high, from, to)
  local span = math.log(high / low)
  return function(value)
    return from + (to - from) * math.log(value / low) / span
  end
end

local function draw_axis(panel, low, high, y, x0)
  local factor, unit = unpack(UNITS[panel.unit])
  for _, value in ipairs(ticks(low / factor, high / factor)) do
    local at = y(value * factor)
    draw('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#ddd"/>', x0 + LEFT,
      x0 + WIDTH - RIGHT, at, at)
    text(x0 + LEFT - 5, at + 3.5, "end", 10, ("%g"):format(value))
  end
  text(x0 + LEFT - 5, TOP - 6, "end", 10, unit, ' fill="#666" class="unit"')
end

local function draw_line(panel, series, x, y)
  local key, _, colour = unpack(series)
  local points = {}
  for _, row in ipairs(panel.rows) do
    local ns = row.median_ns[key]
    if ns then points[#points + 1] = ("%.1f,%.1f"):format(x(row.tasks), y(ns)) end
  end
  if #points > 0 then
    draw('<polyline points="%s" fill="none" stroke="%s" stroke-width="%s"/>',
      table.concat(points, " "), colour, key == "auto" and 2.5 or 1.5)
  end
end

local function draw_lines(panel, x0)
  local low, high = limits(panel)
  local y = scale(low, high, HEIGHT - BOTTOM, TOP)
  local rows = panel.rows
  local x = scale(rows[1].tasks, rows[#rows].tasks, x0 + LEFT + 8, x0 + WIDTH - RIGHT - 8)
  draw_axis(panel, low, high, y, x0)
  for _, row in ipairs(rows) do
    text(x(row.tasks), HEIGHT - BOTTOM + 13, "middle", 10, tostring(row.tasks))
  end
  text(x0 + (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, "middle", 10, "tasks", ' fill="#666"')
  for _, series in ipairs(SERIES) do draw_line(panel, series, x, y) end
end

local function draw_bars(panel, x0)
  local medians, high = panel.rows[1].median_ns, 0
  for _, ns in pairs(medians) do high = math.max(high, ns) end
  local factor, unit = unpack(UNITS[panel.unit])
  local at, longest = TOP + 4, WIDTH - 180
  for i = #SERIES, 1, -1 do
    local key, name, colour = unpack(SERIES[i])
    local ns = medians[key]
    if ns then
      local length = math.max(1, ns / high * longest)
      text(x0 + 98, at + 11, "end", 10, name)
      draw('<rect x="%.1f" y="%.1f" width="%.1f" height="15" fill="%s"/>', x0 + 103, at, length,
        colour)
      local value = ns / factor
      text(x0 + 108 + length, at + 11, "start", 10,
        (value < 1000 and "%.3g %s" or "%.0f %s"):format(value, unit)) -- %.3g of 1000 is 1e+03
      at = at + 21
    end
  end
end

local function draw_panel(panel, place)
  local x0 = place % PANELS_IN_ROW * WIDTH
  local y0 = LEGEND + math.floor(place / PANELS_IN_ROW) * HEIGHT
  draw('<g transform="translate(0 %d)">', y0)
  text(x0 + 8, 16, "start", 12, panel.title, ' font-weight="bold"')
  if #panel.rows > 1 then draw_lines(panel, x0) else draw_bars(panel, x0) end
  draw "</g>"
end

local function draw_legend(machine)
  local x = 8
  for i = #SERIES, 1, -1 do
    local _, name, colour = unpack(SERIES[i])
    draw('<rect x="%d" y="8" width="14" height="10" fill="%s"/>', x, colour)
    text(x + 19, 17, "start", 12, name)
    x = x + 34 + #name * 6.6
  end
  text(8, 35, "start", 10, ("lower is better; %s, %s cores, %s, %s"):format(machine.cpu,
    machine.cores, machine.kernel, machine.date), ' fill="#666"')
end

local function draw_chart(results)
  local panels = group(results.rows)
  local width = WIDTH * PANELS_IN_ROW
  local height = LEGEND + math.ceil(#panels / PANELS_IN_ROW) * HEIGHT
  draw('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"',
    width, height, width, height)
  draw ' font-family="sans-serif"><rect width="100%%" height="100%%" fill="white"/>'
  draw_legend(results.machine)
  for i, panel in ipairs(panels) do draw_panel(panel, i - 1) end
  draw "</svg>"
end

local from, to = arg[1], arg[2]
if not to then error("usage: chart.lua RESULTS.json CHART.svg", 0) end
local results, refusal = fs.readfile(from)
if not results then error(refusal .. " (`make bench` makes it)", 0) end
draw_chart(json.decode(results))
assert(fs.writefile(to, table.concat(out, "\n") .. "\n"))
print("chart: " .. to)
