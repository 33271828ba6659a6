-- What a run tried and what became of it: rows for the README's table "What it survived".
--
--     survived.tell { name = "kill_atomic", kind = "kill -9 within an atomic write", tried = 1000,
--       unit = "kills", lost = 0, command = "make test SPEC=spec/kill_spec.lua" }
--
-- A row is a line in build/survived/NAME.ENGINE, its fields parted by tabs, so that scripts of the
-- shell can write rows as well; spec/support/survived_table.lua makes the table of them.

local survived = {}

---@class survived.row
---@field name string a word: the file's name, and what rows of several engines are joined by
---@field kind string what was done to it, as the table shows it
---@field tried integer how often
---@field unit string what is counted: "answers", "kills", "seeds"
---@field lost integer how often something was lost, leaked or hung
---@field command string what repeats it

local failed = {} -- tests, by the files that they stand in

---A file's name without what busted, or Lua, has put before it.
local function file_name(source)
  return source:match "[^/@]*$"
end

if package.loaded.busted then
  for _, status in ipairs { "failure", "error" } do
    require("busted").subscribe({ status, "it" }, function(element)
      local name = file_name(element.trace.source)
      failed[name] = (failed[name] or 0) + 1
      return nil, true -- others are told as well
    end)
  end
end

---Whether only some of the tests were asked for.
local function is_filtered()
  for _, argument in ipairs(arg or {}) do
    if argument:find "^%-%-filter" or argument:find "^%-%-name" or argument:find "tags" then
      return true
    end
  end
  return false
end

local function path_of(row)
  local build_dir = os.getenv "BUILD_DIR" or "build"
  local engine = os.getenv "HALO_ENGINE" or "auto"
  return ("%s/survived/%s.%s"):format(build_dir, row.name, engine)
end

---Tells of all the tests of the file that calls it, when they have ended: what is lost is those
---that have failed. One that has tried nothing, or not all, tells nothing.
---@param row survived.row without lost
function survived.tell_of_file(row)
  if row.tried == 0 or is_filtered() then
    return
  end
  row.lost = failed[file_name(debug.getinfo(2, "S").source)] or 0
  survived.tell(row)
end

---@param row survived.row
function survived.tell(row)
  local path = path_of(row)
  os.execute("mkdir -p '" .. path:match "^(.*)/" .. "'")
  local file = assert(io.open(path, "w"))
  file:write(table.concat({ row.kind, ("%d"):format(row.tried), row.unit, ("%d"):format(row.lost),
    row.command }, "\t"), "\n")
  file:close()
end

return survived
