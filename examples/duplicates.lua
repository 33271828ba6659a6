-- duplicates.lua [directory]: the files of a tree that have the same content, a paragraph for each.
-- Only files of the same size are read. Names of one file (hard links) count as one. Exit status 1
-- after trouble.
local halo = require "halo"
local fs = require "halo.fs"

local failed = false

local function report(_, refusal)
  failed = true
  io.stderr:write("duplicates: ", refusal, "\n")
end

-- The values of a list by a key of theirs; those with nil are left out.
local function group(list, key_of)
  local groups = {}
  for _, value in ipairs(list) do
    local key = key_of(value)
    if key then
      groups[key] = groups[key] or {}
      table.insert(groups[key], value)
    end
  end
  return groups
end

local files, seen = {}, {}
local function is_file(_, entry) return entry.type == "file" end
local options = { filter = is_file, on_error = report, stat = { "id", "size" } }
for path, entry in fs.walk(arg[1] or ".", options) do
  if entry.id and not seen[entry.id] then
    seen[entry.id] = true
    table.insert(files, { path = path, size = entry.size })
  end
end

local candidates = {}
for _, same_size in pairs(group(files, function(file) return file.size end)) do
  for _, file in ipairs(same_size[2] and same_size or {}) do table.insert(candidates, file) end
end

halo.map(candidates, function(file)
  local hash, refusal = fs.hash(file.path, "sha256")
  if not hash then report(file.path, refusal) end
  file.hash = hash
end)

local paragraphs = {}
for _, same in pairs(group(candidates, function(file) return file.hash end)) do
  if same[2] then
    local paths = {}
    for i, file in ipairs(same) do paths[i] = file.path end
    table.sort(paths)
    table.insert(paragraphs, table.concat(paths, "\n") .. "\n")
  end
end
table.sort(paragraphs)
io.write(table.concat(paragraphs, "\n"))
os.exit(failed and 1 or 0)
