-- Trees of files for specs, made and looked at by other programs than halo:
--
--     tree.make(root, { "a/b/", "a/file=content", "link -> a", "pipe|" })
--     assert.same({ "a/", "a/b/", "a/file", "link -> a", "pipe|" }, tree.list(root))

local command = require "spec.support.command"

local tree = {}

---The line of the shell that makes an item.
local function make_line(item)
  local path, rest = item:match "^(.-)( %-> .*)$"
  local kind = rest and "link" or item:match "[/|]$" or "file"
  if kind == "link" then
    return command.quote("ln", "-s", "--", rest:sub(5), path)
  elseif kind == "/" then
    return command.quote("mkdir", "-p", "--", item)
  elseif kind == "|" then
    return command.quote("mkfifo", "--", (item:sub(1, -2)))
  end
  local name, content = item:match "^([^=]*)=?(.*)$"
  return command.quote("printf", "%s", content) .. " >" .. command.quote("./" .. name)
end

---Makes what the items say: "dir/", "file", "file=content", "link -> target", "fifo|".
---@param root string a directory, made where it is missing
---@param items string[]
function tree.make(root, items)
  local lines = { "set -e", command.quote("mkdir", "-p", "--", root),
    command.quote("cd", "--", root) }
  for _, item in ipairs(items) do
    local holder = item:gsub(" %-> .*$", ""):gsub("=.*$", ""):match "^(.*)/[^/]+/?$"
    if holder then
      table.insert(lines, command.quote("mkdir", "-p", "--", holder))
    end
    table.insert(lines, make_line(item))
  end
  local _, stderr, status = command.run(table.concat(lines, "\n"))
  assert(status == 0, stderr)
end

---What find(1) sees below a directory, in the form of tree.make() without the content, sorted.
---@param root string
---@return string[]
function tree.list(root)
  local marks = { d = "/", p = "|", s = "=", l = " -> " }
  local items = {}
  local stdout = command.run(command.quote("find", root, "-mindepth", "1", "-printf",
    "%y %P\\t%l\\n"))
  for kind, path, target in stdout:gmatch "(%a) ([^\t\n]*)\t([^\n]*)\n" do
    table.insert(items, path .. (marks[kind] or "") .. target)
  end
  table.sort(items)
  return items
end

return tree
