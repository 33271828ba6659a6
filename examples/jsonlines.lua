-- jsonlines.lua field file...: the sum of a number in the JSON objects of many files, one object a
-- line, for each file and for all. The files are read at the same time. What is no JSON is told by
-- file and line. It takes a JSON library: dkjson or any with a function decode. Exit status 1 after
-- trouble.
local halo = require "halo"
local fs = require "halo.fs"
local json = require "dkjson"

local field, failed = table.remove(arg, 1), false

if not arg[1] then
  io.stderr:write("usage: jsonlines.lua field file...\n")
  os.exit(2)
end

local function report(...)
  failed = true
  io.stderr:write("jsonlines: ", ...)
  io.stderr:write("\n")
end

local function sum(path)
  local total, number = 0, 0
  local ok, err = pcall(function()
    for line in fs.lines(path) do
      number = number + 1
      local object, _, problem = json.decode(line)
      if type(object) ~= "table" then
        report(path, ":", number, ": ", problem or "no object")
      else
        total = total + (tonumber(object[field]) or 0)
      end
    end
  end)
  if halo.is_cancelled(err) then error(err, 0) end
  if not ok then report(err) end
  return total
end

local totals, all = halo.map(arg, sum), 0
for i, path in ipairs(arg) do
  print(("%12g  %s"):format(totals[i], path))
  all = all + totals[i]
end
print(("%12g  total"):format(all))
os.exit(failed and 1 or 0)
