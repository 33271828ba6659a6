-- The directories of a recursive watch. Each has a node: inotify's number for it, its name and its
-- parent, from which paths are made.
--
-- They are reached from the root's own File, each by its name in its parent and never through a
-- symbolic link, so that nobody can lead the watch out of the tree, and no path gets too long. What
-- is watched and what is listed is what was opened. Inotify's number is the identity of a directory
-- that is watched: one that is opened again has to have the same.
--
-- A directory that appears is scanned: watched first and listed then, so that nothing in it is
-- missed. Two things have to be seen to. While events that came before are still in the queue, the
-- name may stand for another directory than the one that they are about; then it is tried again
-- after them. And what the listing finds is reported as created, which the kernel may report as
-- well. For both, a mark in the queue tells what came before the listing from what came after it.

local core = require "halo.core"
local Queue = require "halo.queue"
local errors = require "halo.fs.errors"
local paths = require "halo.fs.paths"
local wait = require "halo.wait"

local checked, guard = wait.checked, wait.guard

local OPEN_MAX = 32 -- directories at a time, besides the root
local OPEN_FLAGS = core.flags.RDONLY + core.flags.DIRECTORY
local NO_LINK = core.flags.NOFOLLOW

---@class halo.WatchNode a directory that is watched; the root may be another file
---@field number integer inotify's
---@field parent halo.WatchNode? none for the root
---@field name string in its parent; the root's path
---@field file halo.File? while it is open; the root's is another's to close
---@field children table<string, halo.WatchNode>
---@field scans table<string, halo.WatchScan> directories in it that are to be scanned
---@field known table<string, boolean>? names that were told, up to the mark behind its listing
---@field mark integer? the number of that mark
---@field generation integer when it was seen last

---@class halo.WatchScan a directory that is to be scanned
---@field parent halo.WatchNode
---@field name string
---@field announce boolean what is in it is reported
---@field again boolean? it was tried, and was not where it should be

---@class halo.Displaced
---@field node halo.WatchNode what had the new name of the latest move before
---@field from halo.WatchNode where the other directory came from
---@field from_name string

---@class halo.WatchTree
---@field root halo.WatchNode
---@field private inotify halo.Subscriber
---@field private mask integer of the directories below the root
---@field private on_found fun(node: halo.WatchNode, name: string, is_dir: boolean) by a listing
---@field private on_error fun(path: string, message: string, code: string)
---@field private nodes table<integer, halo.WatchNode> by inotify's numbers
---@field private marks table<integer, halo.WatchNode|halo.WatchScan> what waits for a mark
---@field private scans halo.WatchScan[] the last one is the next
---@field private open halo.Queue nodes whose files are open, the root's excepted
---@field private displaced halo.Displaced?
---@field private generation integer counts how often all had to be found anew
local WatchTree = {}
WatchTree.__index = WatchTree

local function new_node(number, parent, name)
  return {
    number = number,
    parent = parent,
    name = name,
    children = {},
    scans = {},
    generation = 0,
  }
end

---@param node halo.WatchNode
---@param name string? of an entry in it
---@return string
local function path_of(node, name)
  local below = name
  while node.parent do
    below = below and node.name .. "/" .. below or node.name
    node = node.parent
  end
  return below and paths.prefix(node.name) .. below or node.name
end

WatchTree.path_of = path_of

local function is_above(node, other)
  while other and other ~= node do
    other = other.parent
  end
  return other ~= nil
end

local function unlink(node)
  local parent = node.parent
  if parent and parent.children[node.name] == node then
    parent.children[node.name] = nil
  end
end

local function relink(node, parent, name)
  unlink(node)
  node.parent, node.name = parent, name
  parent.children[name] = node
end

-- What events say -------------------------------------------------------------------------------

---Notes that an entry is there. False where that is no news.
---@return boolean
function WatchTree.note_created(node, name)
  local known = node.known
  if known and known[name] then
    return false
  elseif known then
    known[name] = true
  end
  return true
end

---Notes that an entry is no longer there. False where nobody knew of it.
---@return boolean
function WatchTree.note_deleted(node, name)
  local known = node.known
  if known and not known[name] then
    return false
  elseif known then
    known[name] = nil
  end
  return true
end

---Whether an entry was told, so that more of it may be.
---@return boolean
function WatchTree.is_known(node, name)
  return not node.known or node.known[name] ~= nil
end

---The node of inotify's number, where it is still watched.
---@return halo.WatchNode?
function WatchTree:find(number)
  return self.nodes[number]
end

local function forget(self, node)
  self.nodes[node.number] = nil
  unlink(node)
end

---Forgets a directory that goes on existing, and those below.
local function release(self, node)
  local nodes = { node }
  while #nodes > 0 do
    local last = table.remove(nodes)
    for _, child in pairs(last.children) do
      nodes[#nodes + 1] = child
    end
    forget(self, last)
    self.inotify:unwatch(last.number)
  end
end

---A directory is to be scanned, with what is below.
---@param announce boolean
function WatchTree:add(parent, name, announce)
  local scan = { parent = parent, name = name, announce = announce }
  parent.scans[name] = scan
  table.insert(self.scans, scan)
end

---A directory is no longer there.
---@param elsewhere boolean it has left the tree and goes on existing
function WatchTree:remove(parent, name, elsewhere)
  local child = parent.children[name]
  parent.scans[name] = nil
  if child and elsewhere then
    release(self, child)
  elseif child then
    forget(self, child)
  end
end

---The directory that had the new name before the former move, where this is the move back: the
---two have changed places. One that was replaced is not found, since the kernel has let it go.
local function displaced_by(self, from, from_name, parent, name)
  local before = self.displaced
  self.displaced = nil
  local node = before and self.nodes[before.node.number] == before.node and before.node
  if node and node.parent == from and node.name == from_name
    and before.from == parent and before.from_name == name then
    return node
  end
end

---A directory has another name.
function WatchTree:move(from, from_name, parent, name)
  local node = displaced_by(self, from, from_name, parent, name)
  local scan = from.scans[from_name]
  if not node then
    local other = parent.children[name]
    self.displaced = other and { node = other, from = from, from_name = from_name }
    node = from.children[from_name]
    from.scans[from_name] = nil
  end
  parent.scans[name] = nil
  if node and not is_above(node, parent) then
    relink(node, parent, name)
  else
    self:add(parent, name, not scan or scan.announce)
  end
end

---The kernel's word that it watches something no more.
---@return halo.WatchNode? node where it was not a mark
function WatchTree:on_ignored(number)
  local waiting, node = self.marks[number], self.nodes[number]
  self.marks[number] = nil
  if waiting and waiting.mark == number then
    waiting.known = nil
  elseif waiting and not waiting.number then
    table.insert(self.scans, waiting)
  end
  if node then
    forget(self, node)
  end
  return node
end

-- Open directories ------------------------------------------------------------------------------

---@async
local function close_dir(node)
  local file = node.file
  node.file = nil
  if file then
    core.close(file)
  end
end

---@async
local function close_dirs(self)
  for _ = 1, self.open:size() do
    close_dir(self.open:pop())
  end
end

---Holds a directory open, for those in it. The one that was opened first makes room.
---@async
local function hold_open(self, node, file)
  node.file = file
  self.open:push(node)
  if self.open:size() > OPEN_MAX then
    close_dir(self.open:pop())
  end
end

---@async
---@param base halo.File
---@return halo.File?
---@return string? message
---@return string? code
local function open_dir(base, name)
  local file, message, code = checked(core.open(base, name, OPEN_FLAGS + NO_LINK))
  if not file then
    return nil, message, code
  end
  return core.as_base(file)
end

---Watches a directory that is open. Nothing is left of it where it is another one than expected.
---@async
local function watch_again(self, file, expected)
  local number = self.inotify:watch(file, self.mask)
  if number and number ~= expected and not self.nodes[number] then
    self.inotify:unwatch(number)
  end
  return number == expected
end

---The File of a directory that is watched; false where another one has its name now, or where it
---cannot be opened: then with a message and the code.
---@async
---@param node halo.WatchNode
---@return halo.File|false
---@return string? message
---@return string? code
local function reach(self, node)
  local missing = {}
  while node and not node.file do
    table.insert(missing, node)
    node = node.parent
  end
  local file = node and node.file or false
  if not file then
    return false
  end
  for i = #missing, 1, -1 do
    local child = missing[i]
    local opened, message, code = open_dir(file, child.name)
    if not opened then
      return false, message, code
    elseif not watch_again(self, opened, child.number) then
      core.close(opened)
      return false
    end
    hold_open(self, child, opened)
    file = opened
  end
  return file
end

---@async
---@return halo.Entry[]?
---@return string? message
---@return string? code
local function list(file)
  local all = {}
  repeat
    local batch, message, code = checked(core.getdents(file))
    if not batch then
      return nil, message, code
    end
    for _, entry in ipairs(batch) do
      all[#all + 1] = entry
    end
  until #batch == 0
  return all
end

-- Scanning --------------------------------------------------------------------------------------

---Whether, by the events in the queue, a name will stand for something else; with all above, where
---it was not even reached.
local function is_uncertain(self, scan, is_reached)
  local queue, node, name = self.inotify.queue, scan.parent, scan.name
  while node do
    if queue:is_renamed(node.number, name) then
      return true
    end
    node, name = not is_reached and node.parent, node.name
  end
  return false
end

---Whether a directory is known under another path: it was moved, of which the queue has yet to
---tell, or it is mounted in two places.
local function is_elsewhere(self, number, parent, name)
  local node = self.nodes[number]
  if not node or node.parent == parent and node.name == name then
    return false
  end
  return node.generation == self.generation or is_above(node, parent)
end

---Whether events have to be waited for before a directory is scanned.
local function must_wait(self, scan, number, is_reached)
  if is_uncertain(self, scan, is_reached) then
    return true
  end
  local again = scan.again
  scan.again = not is_reached or number and is_elsewhere(self, number, scan.parent, scan.name)
  return scan.again and not again
end

---@return halo.WatchNode
local function attach(self, number, parent, name)
  local node = self.nodes[number] or new_node(number)
  node.generation = self.generation
  self.nodes[number] = node
  relink(node, parent, name)
  return node
end

---What a listing has found. The mark is behind all that it can have seen.
local function add_entries(self, node, entries, announce)
  node.known = announce and {} or nil
  node.mark = announce and self.inotify.queue:put_mark() or nil
  if announce then
    self.marks[node.mark] = node
  end
  for _, entry in ipairs(entries) do
    local is_dir = entry.type == "dir"
    if announce and WatchTree.note_created(node, entry.name) then
      self.on_found(node, entry.name, is_dir)
    end
    if is_dir then
      self:add(node, entry.name, announce)
    end
  end
end

---@class halo.WatchFinding what was found when a directory was looked at
---@field is_reached boolean its parent was where it should be
---@field file halo.File? the directory
---@field number integer? inotify's
---@field entries halo.Entry[]?
---@field message string? of what was refused
---@field code string?

---@async
---@param found halo.WatchFinding filled in
local function look(self, scan, found)
  local base
  base, found.message, found.code = reach(self, scan.parent)
  found.is_reached = base ~= false
  if base then
    found.file, found.message, found.code = open_dir(base, scan.name)
  end
  if found.file then
    found.number, found.message, found.code = self.inotify:watch(found.file, self.mask)
  end
  if found.number then
    found.entries, found.message, found.code = list(found.file)
  end
end

---Takes in what was found. True where the directory's file is needed for those in it.
---@async
local function take_in(self, scan, found)
  local parent, name, number = scan.parent, scan.name, found.number
  if must_wait(self, scan, number, found.is_reached) then
    if number and not self.nodes[number] then
      self.inotify:unwatch(number)
    end
    self.marks[self.inotify.queue:put_mark()] = scan
    return false
  end
  parent.scans[name] = nil
  if found.code then
    local path = path_of(parent, name)
    local text = found.message:match "^%w+: [^:]*" or found.message -- it may name one on the way
    self.on_error(path, text .. ": " .. path, found.code)
  end
  if not number or is_elsewhere(self, number, parent, name) then
    return false
  end
  local node = attach(self, number, parent, name)
  add_entries(self, node, found.entries or {}, scan.announce)
  if not next(node.scans) or node.file then
    return false
  end
  hold_open(self, node, found.file)
  return true
end

---@async
local function scan_dir(self, scan)
  local found = {}
  local ok, held = guard(function()
    look(self, scan, found)
    self.inotify:sync()
    return take_in(self, scan, found)
  end)
  if found.file and not (ok and held) then
    core.close(found.file)
  end
  if not ok then
    error(held, 0)
  end
end

---Whether there is something to do by scan_next().
---@return boolean
function WatchTree:is_scanning()
  return self.scans[1] ~= nil or self.open:size() > 0
end

---Scans the next directory that waits for it. Not to be cancelled, unless the tree is given up.
---@async
function WatchTree:scan_next()
  local scan = table.remove(self.scans)
  if not scan then
    return close_dirs(self)
  end
  local parent = scan.parent
  if self.nodes[parent.number] == parent and parent.scans[scan.name] == scan then
    scan_dir(self, scan)
  end
end

---All directories have to be found, or found anew where events were lost.
---@async
function WatchTree:rescan()
  local root = self.root
  self.generation = self.generation + 1
  root.generation = self.generation
  self.marks, self.scans = {}, {}
  for _, node in pairs(self.nodes) do
    node.known, node.scans = nil, {}
  end
  if not root.file then
    return
  end
  local file, message, code = checked(core.open(root.file, ".", OPEN_FLAGS))
  local entries
  if file then
    entries, message, code = list(file)
    core.close(file)
  end
  if entries then
    add_entries(self, root, entries, false)
  else
    self.on_error(root.name, errors.with_path(message, ".", root.name), code)
  end
end

---After all have been found anew: those that were not are gone.
function WatchTree:sweep()
  local gone = {}
  for _, node in pairs(self.nodes) do
    if node.generation ~= self.generation then
      gone[#gone + 1] = node
    end
  end
  for _, node in ipairs(gone) do
    forget(self, node)
    self.inotify:unwatch(node.number)
  end
end

---Closes the directories that are open.
---@async
function WatchTree:close()
  close_dirs(self)
end

---The root is watched already, under that number.
---@param inotify halo.Subscriber
---@param path string
---@param number integer
---@param mask integer of the directories below
---@param on_found fun(node: halo.WatchNode, name: string, is_dir: boolean)
---@param on_error fun(path: string, message: string, code: string)
---@return halo.WatchTree
return function(inotify, path, number, mask, on_found, on_error)
  local root = new_node(number, nil, path)
  return setmetatable({
    inotify = inotify,
    mask = mask,
    on_found = on_found,
    on_error = on_error,
    root = root,
    nodes = { [number] = root },
    marks = {},
    scans = {},
    open = Queue.new(),
    generation = 0,
  }, WatchTree)
end
