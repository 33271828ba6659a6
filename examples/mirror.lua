-- mirror.lua from to: makes one tree as the other is. What is not there, or of another type, is
-- removed; what is new, or differs in size or time, is copied. Prints what it does. Neither may lie
-- in the other, and a source that is missing empties nothing.
local halo = require "halo"
local fs = require "halo.fs"

if not arg[2] then
  io.stderr:write("usage: mirror.lua from to\n")
  os.exit(2)
end
local from, to = halo.path.normalize(arg[1]), halo.path.normalize(arg[2])

local function lies_in(path, dir)
  return not (halo.path.relative(path, dir) .. "/"):find "^%.%./"
end

-- The same name in the other tree.
local function twin(path, here, there) return there .. path:sub(#here + 1) end

-- What is there, with what tells whether it has changed; nil where nothing is.
local function look(path)
  local st, refusal, code = fs.lstat(path)
  assert(st or code == "ENOENT" or code == "ENOTDIR", refusal)
  return st and { kind = st.type, key = ("%d %d.%09d"):format(st.size, st.mtime, st.mtime_nsec) }
end

local function remove_extras()
  for path in fs.walk(to) do
    local original, copy = look(twin(path, to, from)), look(path)
    if copy and (not original or original.kind ~= copy.kind) then
      print("- " .. path)
      assert(fs.remove(path, { recursive = true, force = true }))
    end
  end
end

local function is_changed(path)
  local original, copy = look(path), look(twin(path, from, to))
  if not original or original.kind == "dir" then return original ~= nil end
  local changed = not copy or original.key ~= copy.key
  if changed then print("+ " .. path) end
  return changed
end

assert(fs.at(from)):close() -- it is a directory
assert(fs.mkdir(to, { parents = true }))
local source, target = assert(fs.realpath(from)), assert(fs.realpath(to))
assert(not lies_in(source, target) and not lies_in(target, source), "one lies in the other")
remove_extras()
assert(fs.copytree(from, to, { merge = true, mode = true, times = true, filter = is_changed }))
