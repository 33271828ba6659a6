-- The directories of a recursive watch. Each has a node: inotify's number for it, its name and its
-- parent, from which paths are made.
--
-- A directory that appears is watched first and listed then, so that nothing in it is missed. Two
-- things have to be seen to. While events that came before are still in the queue, the path may
-- lead to another directory than the one that they are about; then it is tried again after them.
-- And what the listing finds is told as created, of which the kernel may tell as well. For both, a
-- mark in the queue tells what came before the listing from what came after it.

local Queue = require "halo.queue"
local calls = require "halo.fs.calls"

---@class halo.WatchedNode a directory that is watched; the root may be another file
---@field number integer inotify's
---@field parent halo.WatchedNode? none for the root
---@field name string in its parent; the root's path
---@field children table<string, halo.WatchedNode>
---@field jobs table<string, halo.WatchedJob> directories in it that are to be taken in
---@field known table<string, boolean>? names that have been told, up to the mark behind its listing
---@field mark integer? the number of that mark
---@field round integer when it was seen last

---@class halo.WatchedJob a directory that is to be taken in
---@field parent halo.WatchedNode
---@field name string
---@field announce boolean what is in it is told
---@field again boolean? it was known under another path when it was tried

---@class halo.Displaced
---@field node halo.WatchedNode what had the new name of the latest move before
---@field from halo.WatchedNode where the other directory came from
---@field from_name string

---@class halo.Watched
---@field root halo.WatchedNode
---@field private inotify halo.Inotify
---@field private mask integer of the directories below the root
---@field private told fun(node: halo.WatchedNode, name: string, is_dir: boolean) by a listing
---@field private failed fun(path: string, message: string, code: string)
---@field private nodes table<integer, halo.WatchedNode> by inotify's numbers
---@field private marks table<integer, halo.WatchedNode|halo.WatchedJob> what waits for a mark
---@field private jobs halo.Queue
---@field private displaced halo.Displaced?
---@field private round integer counts how often all had to be found anew
local Watched = {}
Watched.__index = Watched

local function new_node(number, parent, name)
  return { number = number, parent = parent, name = name, children = {}, jobs = {}, round = 0 }
end

---@param node halo.WatchedNode
---@param name string? of an entry in it
---@return string
local function path_of(node, name)
  local path = node.parent and path_of(node.parent, node.name) or node.name
  if not name then
    return path
  end
  return path:sub(-1) == "/" and path .. name or path .. "/" .. name
end

Watched.path_of = path_of

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

---An entry is there. False where that is no news.
---@return boolean
function Watched.appears(node, name)
  local known = node.known
  if known and known[name] then
    return false
  elseif known then
    known[name] = true
  end
  return true
end

---An entry is no longer there. False where nobody knew of it.
---@return boolean
function Watched.disappears(node, name)
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
function Watched.is_known(node, name)
  return not node.known or node.known[name] ~= nil
end

---The node of inotify's number, where it is still watched.
---@return halo.WatchedNode?
function Watched:find(number)
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

---A directory is to be taken in, with what is below.
---@param announce boolean
function Watched:add(parent, name, announce)
  local job = { parent = parent, name = name, announce = announce }
  parent.jobs[name] = job
  self.jobs:push(job)
end

---A directory is no longer there.
---@async
---@param elsewhere boolean it has left the tree and goes on existing
function Watched:remove(parent, name, elsewhere)
  local child = parent.children[name]
  parent.jobs[name] = nil
  if child and elsewhere then
    release(self, child)
  elseif child then
    forget(self, child)
  end
end

---The directory that had the new name before the former move, where this is the move back: the
---two have changed places. One that was replaced is not found, since the kernel has let it go.
local function take_displaced(self, from, from_name, parent, name)
  local before = self.displaced
  self.displaced = nil
  local node = before and self.nodes[before.node.number] == before.node and before.node
  if node and node.parent == from and node.name == from_name
    and before.from == parent and before.from_name == name then
    return node
  end
end

---A directory has another name.
function Watched:move(from, from_name, parent, name)
  local node = take_displaced(self, from, from_name, parent, name)
  local job = from.jobs[from_name]
  if not node then
    local other = parent.children[name]
    self.displaced = other and { node = other, from = from, from_name = from_name }
    node = from.children[from_name]
    from.jobs[from_name] = nil
  end
  parent.jobs[name] = nil
  if node and not is_above(node, parent) then
    relink(node, parent, name)
  else
    self:add(parent, name, not job or job.announce)
  end
end

---The kernel's word that it watches something no more.
---@return halo.WatchedNode? node where it was not a mark
function Watched:on_ignored(number)
  local waiting, node = self.marks[number], self.nodes[number]
  self.marks[number] = nil
  if waiting and waiting.mark == number then
    waiting.known = nil
  elseif waiting and not waiting.number then
    self.jobs:push(waiting)
  end
  if node then
    forget(self, node)
  end
  return node
end

-- Taking in -------------------------------------------------------------------------------------

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
  return node.round == self.round or is_above(node, parent)
end

---What has to be waited for before a directory is taken in.
local function is_early(self, job, number)
  if is_uncertain(self, job.parent, job.name) then
    return true
  end
  local again = job.again
  job.again = number and is_elsewhere(self, number, job.parent, job.name)
  return job.again and not again
end

---@return halo.WatchedNode
local function attach(self, number, parent, name)
  local node = self.nodes[number] or new_node(number)
  node.round = self.round
  self.nodes[number] = node
  relink(node, parent, name)
  return node
end

---What a listing has found. The mark is behind all that it can have seen.
local function take_entries(self, node, entries, announce, mark)
  node.mark, node.known = mark, mark and {}
  if mark then
    self.marks[mark] = node
  end
  for _, entry in ipairs(entries) do
    local is_dir = entry.type == "dir"
    if announce and Watched.appears(node, entry.name) then
      self.told(node, entry.name, is_dir)
    end
    if is_dir then
      self:add(node, entry.name, announce)
    end
  end
end

---@async
local function take_in(self, job)
  local parent, name = job.parent, job.name
  local path = path_of(parent, name)
  local entries
  local number, message, code = self.inotify:watch(path, self.mask)
  if number then
    entries, message, code = calls.readdir(path)
  end
  local mark = job.announce and self.inotify:mark() or nil
  if mark and is_early(self, job, number) then
    if number and not self.nodes[number] then
      self.inotify:unwatch(number)
    end
    self.marks[mark] = job
    return
  end
  parent.jobs[name] = nil
  if code then
    self.failed(path, message, code)
  end
  if number and not is_elsewhere(self, number, parent, name) then
    take_entries(self, attach(self, number, parent, name), entries or {}, job.announce, mark)
  end
end

---Takes in the next directory that waits for it. False where there is none. Not to be cancelled.
---@async
---@return boolean
function Watched:work()
  local job = self.jobs:pop()
  if not job then
    return false
  end
  local parent = job.parent
  if self.nodes[parent.number] == parent and parent.jobs[job.name] == job then
    take_in(self, job)
  end
  return true
end

---All directories have to be found, or found anew where events were lost.
---@async
function Watched:start_over()
  self.round = self.round + 1
  self.root.round = self.round
  self.marks = {}
  for _, node in pairs(self.nodes) do
    node.known, node.jobs = nil, {}
  end
  local entries, message, code = calls.readdir(self.root.name)
  if entries then
    take_entries(self, self.root, entries, false)
  else
    self.failed(self.root.name, message, code)
  end
end

---After all have been found anew: those that were not are gone.
---@async
function Watched:sweep()
  local gone = {}
  for _, node in pairs(self.nodes) do
    if node.round ~= self.round then
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
---@param told fun(node: halo.WatchedNode, name: string, is_dir: boolean)
---@param failed fun(path: string, message: string, code: string)
---@return halo.Watched
return function(inotify, path, number, mask, told, failed)
  local root = new_node(number, nil, path)
  return setmetatable({
    inotify = inotify,
    mask = mask,
    told = told,
    failed = failed,
    root = root,
    nodes = { [number] = root },
    marks = {},
    jobs = Queue.new(),
    round = 0,
  }, Watched)
end
