-- The directories of a recursive watch. Each has a node: inotify's number for it, its name and its
-- parent, from which paths are made.
--
-- A directory that appears is scanned: watched first and listed then, so that nothing in it is
-- missed. Two things have to be seen to. While events that came before are still in the queue, the
-- path may lead to another directory than the one that they are about; then it is tried again after
-- them. And what the listing finds is reported as created, which the kernel may report as well. For
-- both, a mark in the queue tells what came before the listing from what came after it.

local Queue = require "halo.queue"
local calls = require "halo.fs.calls"
local paths = require "halo.fs.paths"

---@class halo.WatchNode a directory that is watched; the root may be another file
---@field number integer inotify's
---@field parent halo.WatchNode? none for the root
---@field name string in its parent; the root's path
---@field children table<string, halo.WatchNode>
---@field scans table<string, halo.WatchScan> directories in it that are to be scanned
---@field known table<string, boolean>? names that were told, up to the mark behind its listing
---@field mark integer? the number of that mark
---@field generation integer when it was seen last

---@class halo.WatchScan a directory that is to be scanned
---@field parent halo.WatchNode
---@field name string
---@field announce boolean what is in it is reported
---@field again boolean? it was known under another path when it was tried

---@class halo.Displaced
---@field node halo.WatchNode what had the new name of the latest move before
---@field from halo.WatchNode where the other directory came from
---@field from_name string

---@class halo.WatchTree
---@field root halo.WatchNode
---@field private inotify halo.Inotify
---@field private mask integer of the directories below the root
---@field private on_found fun(node: halo.WatchNode, name: string, is_dir: boolean) by a listing
---@field private on_error fun(path: string, message: string, code: string)
---@field private nodes table<integer, halo.WatchNode> by inotify's numbers
---@field private marks table<integer, halo.WatchNode|halo.WatchScan> what waits for a mark
---@field private scans halo.Queue
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
  local path = node.parent and path_of(node.parent, node.name) or node.name
  if not name then
    return path
  end
  return paths.prefix(path) .. name
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

---@async
local function release(self, node)
  for _, child in pairs(node.children) do
    release(self, child)
  end
  forget(self, node)
  self.inotify:unwatch(node.number)
end

---A directory is to be scanned, with what is below.
---@param announce boolean
function WatchTree:add(parent, name, announce)
  local scan = { parent = parent, name = name, announce = announce }
  parent.scans[name] = scan
  self.scans:push(scan)
end

---A directory is no longer there.
---@async
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
    self.scans:push(waiting)
  end
  if node then
    forget(self, node)
  end
  return node
end

-- Scanning --------------------------------------------------------------------------------------

---Whether, by the events in the queue, the path will lead to something else.
local function is_uncertain(self, node, name)
  while node do
    if self.inotify:is_renamed(node.number, name) then
      return true
    end
    node, name = node.parent, node.name
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
local function must_wait(self, scan, number)
  if is_uncertain(self, scan.parent, scan.name) then
    return true
  end
  local again = scan.again
  scan.again = number and is_elsewhere(self, number, scan.parent, scan.name)
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
local function add_entries(self, node, entries, announce, mark)
  node.mark, node.known = mark, mark and {}
  if mark then
    self.marks[mark] = node
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

---@async
local function scan_dir(self, scan)
  local parent, name = scan.parent, scan.name
  local path = path_of(parent, name)
  local entries
  local number, message, code = self.inotify:watch(path, self.mask)
  if number then
    entries, message, code = calls.readdir(path)
  end
  local mark = scan.announce and self.inotify:mark() or nil
  if mark and must_wait(self, scan, number) then
    if number and not self.nodes[number] then
      self.inotify:unwatch(number)
    end
    self.marks[mark] = scan
    return
  end
  parent.scans[name] = nil
  if code then
    self.on_error(path, message, code)
  end
  if number and not is_elsewhere(self, number, parent, name) then
    add_entries(self, attach(self, number, parent, name), entries or {}, scan.announce, mark)
  end
end

---Scans the next directory that waits for it. False where there is none. Not to be cancelled.
---@async
---@return boolean
function WatchTree:scan_next()
  local scan = self.scans:pop()
  if not scan then
    return false
  end
  local parent = scan.parent
  if self.nodes[parent.number] == parent and parent.scans[scan.name] == scan then
    scan_dir(self, scan)
  end
  return true
end

---All directories have to be found, or found anew where events were lost.
---@async
function WatchTree:rescan()
  self.generation = self.generation + 1
  self.root.generation = self.generation
  self.marks = {}
  for _, node in pairs(self.nodes) do
    node.known, node.scans = nil, {}
  end
  local entries, message, code = calls.readdir(self.root.name)
  if entries then
    add_entries(self, self.root, entries, false)
  else
    self.on_error(self.root.name, message, code)
  end
end

---After all have been found anew: those that were not are gone.
---@async
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

---The root is watched already, under that number.
---@param inotify halo.Inotify
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
    scans = Queue.new(),
    generation = 0,
  }, WatchTree)
end
