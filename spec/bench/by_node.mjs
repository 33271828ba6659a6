// The jobs in node, with fs/promises and an async function for each task:
//
//     node spec/bench/by_node.mjs JOB DIRECTORY COUNT TASKS
//
// layout.lua says where the files are.

import fs from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

const PAGE = 4096
const [name, directory] = process.argv.slice(2, 4)
const count = Number(process.argv[4])
const tasks = Number(process.argv[5])

function offsets(size) {
  const pages = size / PAGE
  const result = []
  let x = 1
  for (let i = 0; i < count; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    result.push(((x >>> 8) % pages) * PAGE)
  }
  return result
}

function tree(root) {
  const files = []
  for (let i = 0; i < count; i++) {
    const folder = String(Math.floor(i / 100)).padStart(3, '0')
    files.push(`${root}/${folder}/${String(i).padStart(5, '0')}`)
  }
  return files
}

// Each job prepares, and returns the function that a task runs on the items it takes.
const jobs = {
  async read() {
    const file = await fs.open(`${directory}/read.data`)
    const at = offsets(128 * 1024 * 1024)
    return async (items) => {
      const buffer = Buffer.alloc(PAGE)
      for (const i of items) await file.read(buffer, 0, PAGE, at[i])
    }
  },
  async lstat() {
    const paths = tree(`${directory}/names`)
    return async (items) => {
      for (const i of items) await fs.lstat(paths[i])
    }
  },
  async readfile() {
    const paths = tree(`${directory}/small`)
    return async (items) => {
      for (const i of items) await fs.readFile(paths[i])
    }
  },
  async write() {
    const file = await fs.open(`${directory}/write.data`, 'r+')
    const at = offsets(64 * 1024 * 1024)
    const page = Buffer.alloc(PAGE)
    return async (items) => {
      for (const i of items) await file.write(page, 0, PAGE, at[i])
    }
  },
  async write64() {
    const files = []
    for (let i = 0; i < 64; i++) files.push(await fs.open(`${directory}/write/${i}`, 'r+'))
    const at = offsets(1024 * 1024)
    const page = Buffer.alloc(PAGE)
    return async (items) => {
      for (const i of items) await files[i % 64].write(page, 0, PAGE, at[i])
    }
  },
  async append() {
    const logs = []
    for (let i = 0; i < tasks; i++) logs.push(await fs.open(`${directory}/logs/${i}`, 'a'))
    const line = Buffer.alloc(128)
    return async (items) => {
      const log = logs.pop()
      for (const _ of items) {
        await log.write(line)
        await log.sync()
      }
    }
  },
  async cycle() {
    const content = Buffer.alloc(1024)
    return async (items) => {
      for (const i of items) {
        const path = `${directory}/cycle/${i}`
        const file = await fs.open(`${path}.new`, 'wx')
        await file.write(content)
        await file.close()
        await fs.rename(`${path}.new`, path)
        await fs.unlink(path)
      }
    }
  },
  async copytree() {
    return () => fs.cp(directory, `${directory}.copy`, { recursive: true })
  },
  async walk() {
    let blocks = 0
    async function visit(path, isDirectory) {
      const below = isDirectory ? walk(path) : undefined
      blocks += (await fs.lstat(path)).blocks
      await below
    }
    async function walk(path) {
      const entries = await fs.readdir(path, { withFileTypes: true })
      await Promise.all(entries.map((entry) => visit(`${path}/${entry.name}`, entry.isDirectory())))
    }
    return () => walk(directory)
  },
  async lines() {
    let bytes = 0
    return async () => {
      const input = createReadStream(directory)
      for await (const line of createInterface({ input })) bytes += line.length
    }
  },
}

function* numbers() {
  for (let i = 0; i < count; i++) yield i
}

const work = await jobs[name]()
const items = numbers()
const shared = { [Symbol.iterator]: () => ({ next: () => items.next() }) }
const start = process.hrtime.bigint()
await Promise.all(Array.from({ length: tasks }, () => work(shared)))
console.log((Number(process.hrtime.bigint() - start) / count).toFixed(1))
process.exit(0)
