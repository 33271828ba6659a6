-- What is promised where an operation or a system call fails: the expected result as a function of
-- operation, fault and way.

local acts = require "spec.faults.acts"
local armed = require "spec.faults.armed"

local rules = {}

---A call that this machine or file system cannot do at all.
function rules.is_absent(code)
  return code == "EOPNOTSUPP" or code == "ENODATA"
end

local interruption = { EINTR = true, ERESTARTSYS = true }

---Whether nobody is to see a fault that an operation has answered, since it is asked again.
local function is_hidden_answer(cell)
  local op, fault = armed.ops[cell.where], cell.fault
  if cell.ever then
    return fault == "short"
  elseif fault == "short" then
    return true
  elseif interruption[fault] then
    return not op.lengthy -- whose twins make an interrupted call again themselves
  elseif fault == "EAGAIN" then
    return op.on_file or cell.where == "poll" or cell.way == "try"
      or cell.where == "open"
  elseif fault == "ECANCELED" then
    return cell.way == "ring" or cell.where == "close" or cell.where == "poll"
  end
  return false
end

local function is_hidden(cell)
  if cell.kind == "answers" then
    return is_hidden_answer(cell)
  end
  return cell.fault == "short" or cell.fault == "EINTR" and not cell.ever
end

---What is told for a fault that a call sees.
local function code_of(cell)
  return cell.fault == "ERESTARTSYS" and "EINTR" or cell.fault
end

---Where a refusal of that is an answer, and not a fault, as of a lock that only tries.
local function may_tell(cell)
  return not is_hidden(cell)
    or cell.where == "lock" and cell.fault == "EAGAIN" and cell.act.name:find(", 0)", 1, true)
end

-- What need not be told, because the call has all that was asked for without it, or says it later:
-- a read that has got bytes tells of the failure when more is asked for; a directory that a watch
-- cannot see is told by an event of it.
local READS = { close = true, read = true, pread = true, preadv2 = true }
local LOOKS = { open = true, openat = true, openat2 = true, fstat = true, statx = true,
  getdents = true, getdents64 = true, poll = true }
local not_needed = {
  { "", READS },
  { "watch", LOOKS },
  { "a walk", { statx = true } }, -- an entry without its stat
  -- A process that cannot be waited for is looked at again and again.
  { "process.", { poll = true, wait = true } },
  { "Process:", { poll = true, wait = true } },
  { "rmtree(missing", { rmdir = true, unlinkat = true } },
  -- Whether one directory is in the other is looked at twice.
  { "copytree", { open = true, fstat = true, openat = true, statx = true } },
  { "move", { open = true, fstat = true, openat = true, statx = true } },
}
for _, name in ipairs { "copy", "move" } do
  -- Sharing data and holes, a list of attributes that is read again: there is another way.
  table.insert(not_needed, { name, { ioctl = true, lseek = true, fstat = true, flistxattr = true,
    fstatfs = true, fstatat = true } })
end

local function need_not_tell(cell)
  if cell.act.closes and cell.where == "close" then
    return cell.fault == "ECANCELED" -- which no close answers, see spec/faults/answers.c
  end
  for _, entry in ipairs(not_needed) do
    if cell.act.name:find(entry[1], 1, true) and entry[2][cell.where] then
      return true
    end
  end
  if cell.kind == "calls" and (cell.way == "try" or cell.fault == "EAGAIN") then
    return true -- the ordinary way asks again, or the system call is made again
  end
  return cell.act.quiet
end

-- ---- the checks ---------------------------------------------------------------------------------

local function difference(tree, other)
  local found = {}
  for name, what in pairs(tree) do
    if other[name] ~= what then
      found[#found + 1] = ("%s (%s, not %s)"):format(name, what, tostring(other[name]))
    end
  end
  for name in pairs(other) do
    if not tree[name] then
      found[#found + 1] = name .. " (gone)"
    end
  end
  table.sort(found)
  return #found > 0 and table.concat(found, ", ") or nil
end

---What neither was there nor would be after a success. What is written in place may be so in part.
local function litter(cell, clean)
  local found = {}
  for name, what in pairs(cell.tree) do
    local as_wanted = clean.tree[name] == what or cell.act.closes and clean.tree[name]
    if not cell.before_tree[name] and not as_wanted then
      found[#found + 1] = name
    end
  end
  return #found > 0 and table.concat(found, ", ") or nil
end

local function names_a_path(cell)
  if cell.act.nobody then
    return true
  end
  local paths = acts.paths_of(cell.act, cell.root)
  if #paths == 0 then
    paths = { cell.root }
  end
  for _, path in ipairs(paths) do
    local named = cell.result.message:match ": ([^:]+)$"
    local on_the_way = cell.act.quiet and named and path:find(named, 1, true) == 1
    if cell.result.message:find(path, 1, true) or on_the_way then
      return true
    end
  end
  return false
end

local function check_refusal(cell, clean, add)
  local result = cell.result
  if result.code ~= code_of(cell) then
    add("it says " .. tostring(result.message))
  end
  if not may_tell(cell) then
    add("it is told: " .. result.message)
  end
  if result.raised and not cell.act.raises then
    add("it raises: " .. result.message)
  end
  local is_formed = result.count == 3 and result.message:match "^%u[%u%d]*" == result.code
  if not result.raised and not is_formed then
    add("the message is not of its form: " .. result.message)
  end
  if not names_a_path(cell) or result.message:find("/proc/self/fd", 1, true)
    or result.message:find(".halo-", 1, true) then
    add("the path is not the user's: " .. result.message)
  end
  local left = litter(cell, clean)
  if left and not cell.ever then -- who can remove nothing has to leave it
    add("litter: " .. left)
  end
end

local function check_success(cell, clean, add)
  local changed = difference(cell.tree, clean.tree)
  if changed then
    add("it succeeds, but " .. changed)
  end
  if cell.result.count ~= clean.result.count then
    add(("%d results"):format(cell.result.count))
  end
  for i = 1, clean.result.count do
    local is, should = cell.result.values[i], clean.result.values[i]
    if type(is) ~= type(should) then
      add(("result %d is %s, not %s"):format(i, tostring(is), tostring(should)))
    elseif type(is) == "string" and is ~= should and not rules.varies(cell.act) then
      add(("result %d is %q, not %q"):format(i, is:sub(1, 50), should:sub(1, 50)))
    end
  end
  if not is_hidden(cell) and not need_not_tell(cell) then
    add "it is not told"
  end
end

function rules.varies(act)
  return act.name:find "temp" or act.name:find "/proc/" or act.name:find "stat"
end

---What is wrong with a cell, if anything.
---@return string[]
function rules.check(cell, clean)
  local found = {}
  local function add(message)
    found[#found + 1] = message
  end
  if cell.result.refused then
    check_refusal(cell, clean, add)
  else
    check_success(cell, clean, add)
  end
  if cell.leaked > 0 then -- the collector may have closed what others have left
    add(("%d descriptors are left"):format(cell.leaked))
  end
  if not cell.quiet then
    add "an operation has not ended"
  end
  if cell.tasks ~= clean.tasks then
    add(("%d tasks are left"):format(cell.tasks - clean.tasks))
  end
  if not cell.works then
    add "nothing works any more"
  end
  return found
end

return rules
