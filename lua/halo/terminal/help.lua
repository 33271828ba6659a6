-- What halo's functions do, from the annotations above them: the one source of the reference.

local core = require "halo.core"
local halo = require "halo"

local help = {}

---What is defined where, as users write it: the names of a module's table, or of a type's.
local PREFIXES = {
  halo = "halo.", fs = "fs.", path = "halo.path.",
  scope = "halo.", map = "halo.", channel = "halo.",
  File = "file:", Dir = "dir:", Buffer = "buffer:", Task = "task:", Scope = "scope:",
  Channel = "channel:", Semaphore = "semaphore:", Watch = "watch:", Walk = "walk:",
}

---The name of the function that a line defines, if it is one for users.
local function defined(line)
  local owner, name, arguments = line:match("^function ([%a]+)[%.:]([%a_][%w_]*)(%b())")
  if owner and PREFIXES[owner] and name:sub(1, 1) ~= "_" then
    return PREFIXES[owner] .. name, arguments
  end
end

---The annotations of a block, for reading.
local function readable(name, arguments, block)
  local text, lists = {}, { param = {}, ["return"] = {} }
  local list = text -- which a line that has no tag goes on with
  for _, line in ipairs(block) do
    local tag, rest = line:match("^@(%a+)%s*(.*)$")
    if tag then
      list = lists[tag] or {}
    end
    list[#list + 1] = list == text and line or (tag and "  " or "    ") .. (rest or line)
  end
  local lines = { name .. arguments, "" }
  for _, line in ipairs(text) do
    lines[#lines + 1] = line
  end
  for _, part in ipairs { { "Takes:", lists.param }, { "Returns:", lists["return"] } } do
    if part[2][1] then
      lines[#lines + 1] = "\n" .. part[1] .. "\n" .. table.concat(part[2], "\n")
    end
  end
  return table.concat(lines, "\n")
end

---Adds what a module's source documents.
local function read_module(found, source)
  local block = {}
  for line in source:gmatch("([^\n]*)\n") do
    local comment = line:match("^%-%-%-%s?(.*)$")
    if comment then
      block[#block + 1] = comment
    else
      local name, arguments = defined(line)
      if name and block[1] then
        found[name] = readable(name, arguments, block)
      end
      block = {}
    end
  end
end

local entries

---@return table<string, string> texts by the names
local function all()
  if not entries then
    entries = {}
    for _, source in pairs(core.sources()) do
      read_module(entries, source)
    end
  end
  return entries
end

---What a function is called by users, or a name itself.
---@param value any
---@return string
function help.name_of(value)
  for prefix, module in pairs { ["halo."] = halo, ["fs."] = halo.fs, ["halo.path."] = halo.path } do
    for name in pairs(all()) do
      local field = name:sub(1, #prefix) == prefix and name:sub(#prefix + 1)
      if field and type(value) == "function" and module[field] == value then
        return name
      end
    end
  end
  return tostring(value)
end

---The text about a function, by its name, with or without what stands before it.
---@param name string
---@return string
function help.of(name)
  local found, short = {}, name:gsub("^halo%.fs%.", "fs."):gsub("[()]", "")
  if all()[short] then
    return all()[short]
  end
  for full in pairs(all()) do
    if full:match("[%.:]([%w_]+)$") == short:match("([%w_]+)$") then
      found[#found + 1] = full
    end
  end
  table.sort(found)
  if #found == 0 then
    return ("nothing is known of '%s': :doc lists the functions"):format(name)
  elseif #found == 1 then
    return all()[found[1]]
  end
  return "which one? " .. table.concat(found, ", ")
end

---The names of all functions, by what they belong to.
---@return string
function help.list()
  local groups, order = {}, {}
  for name in pairs(all()) do
    local prefix = name:match("^.*[%.:]")
    if not groups[prefix] then
      groups[prefix] = {}
      order[#order + 1] = prefix
    end
    table.insert(groups[prefix], name:sub(#prefix + 1))
  end
  table.sort(order)
  for i, prefix in ipairs(order) do
    table.sort(groups[prefix])
    order[i] = prefix .. "  " .. table.concat(groups[prefix], " ")
  end
  return table.concat(order, "\n")
end

return help
