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

---@param row survived.row
function survived.tell(row)
  local build_dir = os.getenv "BUILD_DIR" or "build"
  local engine = os.getenv "HALO_ENGINE" or "auto"
  local dir = build_dir .. "/survived"
  os.execute("mkdir -p '" .. dir .. "'")
  local file = assert(io.open(("%s/%s.%s"):format(dir, row.name, engine), "w"))
  file:write(table.concat({ row.kind, ("%d"):format(row.tried), row.unit, ("%d"):format(row.lost),
    row.command }, "\t"), "\n")
  file:close()
end

return survived
