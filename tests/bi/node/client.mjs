// DuckDB's client for Node: one word a line, one line of JSON in return, as clients/talk.py does in Python.
import { createInterface } from "node:readline";
import { DuckDBInstance, version } from "@duckdb/node-api";

const [path, question] = process.argv.slice(2);
let instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
let connection = await instance.connect();

async function read() {
  const reader = await connection.runAndReadAll(question);
  // Decimals, dates and moments come as objects that keep every digit; JSON gets their texts.
  const [row] = reader.getRowObjectsJson();
  return { ...row, customers: Number(row.customers) };
}

const words = {
  version: async () => version(),
  read,
  reopen: async () => {
    connection.closeSync();
    instance.closeSync();
    instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
    connection = await instance.connect();
    return read();
  },
  write: async () => {
    try {
      await connection.run("DELETE FROM marts.customer_360");
      return null;
    } catch (error) {
      return String(error.message);
    }
  },
  comment: async () => {
    const reader = await connection.runAndReadAll(
      "SELECT comment FROM duckdb_columns() WHERE table_name = 'customer_360' AND column_name = 'segment'",
    );
    return reader.getRows()[0][0];
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await words[line.trim()]()));
}
