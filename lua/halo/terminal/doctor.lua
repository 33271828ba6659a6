-- `halo doctor`: how halo works on this machine, and what to do where it could work better. It
-- looks, and changes nothing.

local core = require "halo.core"
local fs = require "halo.fs"

local doctor = {}

local KERNEL_MIN = { 5, 11 }
local FILES_MIN, LOCKED_MIN = 1024, 65536
local WIDTH = 92

---@class halo.Finding
---@field about string
---@field text string
---@field cure string? where it could be better

local function read(path)
  local text = fs.readfile(path)
  return text and text:gsub("%s+$", "") or ""
end

-- ---- io_uring ---------------------------------------------------------------------------------

local function older_than(release, wanted)
  local major, minor = release:match "^(%d+)%.(%d+)"
  major, minor = tonumber(major) or 0, tonumber(minor) or 0
  return major < wanted[1] or major == wanted[1] and minor < wanted[2]
end

local function look_at_kernel()
  local engine, _, release = core.engine()
  -- Some older ones have it all the same: 5.10.162 took over what 5.15 has.
  if older_than(release, KERNEL_MIN) and engine ~= "ring" then
    return "Linux " .. release, "io_uring is used from Linux 5.11 on: with an older kernel worker "
      .. "threads do everything, with the same results"
  end
  return "Linux " .. release
end

local DISABLED = {
  ["0"] = "allowed to all",
  ["1"] = "allowed to the group kernel.io_uring_group",
  ["2"] = "forbidden to all",
}

local function look_at_sysctl()
  local value = read "/proc/sys/kernel/io_uring_disabled"
  if value == "" then
    return "this kernel has no kernel.io_uring_disabled"
  end
  return ("kernel.io_uring_disabled = %s: %s"):format(value, DISABLED[value] or "unknown")
end

local function look_at_seccomp()
  local mode = read("/proc/self/status"):match "Seccomp:%s*(%d)"
  if mode == "2" then
    return "a filter of system calls (seccomp) is in force"
  end
  return mode == "0" and "no seccomp filter" or "no telling whether there is a seccomp filter"
end

---What may be the cause, and so is to be changed.
local function cure_for(reason)
  local value = read "/proc/sys/kernel/io_uring_disabled"
  if reason:find "EPERM" and (value == "1" or value == "2") then
    return "sysctl kernel.io_uring_disabled=0; or =1, and be in kernel.io_uring_group"
  elseif reason:find "EPERM" or reason:find "ENOSYS" or reason:find "EACCES" then
    return "let the container's seccomp profile allow io_uring_setup, io_uring_enter and "
      .. "io_uring_register (docker: --security-opt seccomp=PROFILE)"
  elseif reason:find "ENOMEM" then
    return "raise the limit of locked memory (ulimit -l)"
  elseif reason:find "EMFILE" or reason:find "ENFILE" then
    return "raise the limit of open files (ulimit -n)"
  end
  return "without it worker threads do the same, at the cost of a hand-over for each call"
end

local function look_at_uring()
  local engine, reason = core.engine()
  local text = ("%s; %s"):format(look_at_sysctl(), look_at_seccomp())
  if engine == "ring" then
    return "works. " .. text
  elseif reason == "asked for" then
    return "not tried, since the pool was asked for. " .. text
  end
  return reason .. ". " .. text, cure_for(reason)
end

local function look_at_engine()
  local engine, reason = core.engine()
  return ("%s (%s)"):format(engine, reason)
end

local function look_at_operations()
  local by_ring, by_pool = {}, {}
  for name, has_ring in pairs(core.operations()) do
    table.insert(has_ring and by_ring or by_pool, name)
  end
  table.sort(by_ring)
  table.sort(by_pool)
  if #by_ring == 0 then
    return ("all %d by worker threads"):format(#by_pool)
  end
  return ("%d by the ring: %s. %d by worker threads: %s"):format(#by_ring,
    table.concat(by_ring, " "), #by_pool, table.concat(by_pool, " "))
end

-- ---- limits and versions ----------------------------------------------------------------------

local function limit(name)
  local value = read("/proc/self/limits"):match("Max " .. name .. "%s+(%S+)")
  return value == "unlimited" and math.huge or tonumber(value) or math.huge
end

local function say_limit(value)
  return value == math.huge and "unlimited" or ("%d"):format(value)
end

local function look_at_limits()
  local files, locked = limit "open files", limit "locked memory"
  local cure
  if files < FILES_MIN then
    cure = ("ulimit -n %d, or more: each open file is one"):format(FILES_MIN)
  elseif locked < LOCKED_MIN and older_than(select(3, core.engine()), { 5, 12 }) then
    cure = "ulimit -l 65536: before Linux 5.12 a ring counts as locked memory"
  end
  return ("%s open files (ulimit -n), %s bytes of locked memory (ulimit -l)"):format(
    say_limit(files), say_limit(locked)), cure
end

---The version in the name of a library that is loaded.
local function library(maps, name)
  local path = maps:match("(/[^\n]*/" .. name .. "%.so[%d.]*)")
  local version = path and (path:match "%.so%.([%d.]+)$" or "")
  return path and ("%s %s"):format(name, version) or name .. " built in"
end

local function look_at_versions()
  local _, _, _, version = core.engine()
  local maps = read "/proc/self/maps"
  return ("halo %s, %s, %s, %s"):format(version, jit.version, library(maps, "liburing"),
    library(maps, "libmd"))
end

local function look_at_compiler()
  if jit.status() then
    return "LuaJIT compiles for " .. jit.arch
  end
  return "LuaJIT does not compile", "its compiler is switched off, by -joff or for this processor"
end

local function look_at_prompt()
  local edits, why_not = core.can_edit()
  if edits then
    return "lines are edited by " .. library(read "/proc/self/maps", "libedit")
  end
  return "plain lines, " .. why_not, "install libedit2, and libedit-dev before halo is built"
end

-- ---- places -----------------------------------------------------------------------------------

---The mounted file systems: where, and of what type.
local function mounts()
  local list = {}
  for line in read("/proc/self/mountinfo"):gmatch "[^\n]+" do
    local point, kind = line:match "^%S+ %S+ %S+ %S+ (%S+) .- %- (%S+)"
    if point then
      point = point:gsub("\\(%d%d%d)", function(digits) return string.char(tonumber(digits, 8)) end)
      list[#list + 1] = { point = point, kind = kind }
    end
  end
  return list
end

---The one that a directory is on: of those around it the innermost, of one place the latest.
local function mount_of(list, path)
  local found
  for _, mount in ipairs(list) do
    local point = mount.point == "/" and "/" or mount.point .. "/"
    if (path .. "/"):sub(1, #point) == point and (not found or #mount.point >= #found.point) then
      found = mount
    end
  end
  return found and found.kind or "an unknown file system"
end

local LOCAL = "local: short calls are made at once"
local SLOW = "may wait for another machine or process: its calls go to %s, which wait in its place"

local function say_place(path)
  local way = core.engine() == "ring" and "the ring" or "workers"
  return core.is_local(path) and LOCAL or SLOW:format(way)
end

local function look_at_directory()
  local path, message = fs.cwd()
  if not path then
    return message, "go to a directory that is still there"
  end
  return ("%s, on %s: %s"):format(path, mount_of(mounts(), path), say_place ".")
end

local function look_at_others()
  local slow = {}
  for _, mount in ipairs(mounts()) do
    if not core.is_local(mount.point) and mount.kind ~= "autofs" then
      slow[#slow + 1] = ("%s (%s)"):format(mount.point, mount.kind)
    end
  end
  if #slow == 0 then
    return "all that is mounted is local"
  end
  return "these may wait: " .. table.concat(slow, ", ")
end

-- ---- the report -------------------------------------------------------------------------------

local questions = {
  { "kernel", look_at_kernel },
  { "io_uring", look_at_uring },
  { "engine", look_at_engine },
  { "operations", look_at_operations },
  { "limits", look_at_limits },
  { "versions", look_at_versions },
  { "compiler", look_at_compiler },
  { "prompt", look_at_prompt },
  { "directory", look_at_directory },
  { "mounts", look_at_others },
}

---Text in lines that are not too long, the later ones indented.
local function wrap(text, indent)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and #line + #word + 1 > WIDTH - indent then
      lines[#lines + 1] = line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

---@return halo.Finding[]
function doctor.examine()
  local findings = {}
  for i, question in ipairs(questions) do
    local text, cure = question[2]()
    findings[i] = { about = question[1], text = text, cure = cure }
  end
  return findings
end

---Prints what was found.
---@return boolean well whether nothing is to be mended
function doctor.run()
  local ills = 0
  for _, finding in ipairs(doctor.examine()) do
    print(("%s %-11s %s"):format(finding.cure and "!!" or "ok", finding.about,
      wrap(finding.text, 15)))
    if finding.cure then
      ills = ills + 1
      print(("   %-11s %s"):format("", wrap("=> " .. finding.cure, 18)))
    end
  end
  print(ills == 0 and "halo has all it wants here." or
    ("%d %s to mend; halo works all the same."):format(ills, ills == 1 and "thing" or "things"))
  return ills == 0
end

return doctor
