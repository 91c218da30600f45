// Prints the body for POST /bench/json: 60 orders, about 8 kB, always the same.

const orders = Array.from({ length: 60 }, (_, id) => ({
  id,
  customer: `customer ${id % 7}`,
  items: Array.from({ length: id % 4 }, (_, n) => ({ name: `article ${id}-${n}`, price: (id * 7 + n) / 4, amount: n + 1 })),
  note: "deliver after noon",
}));

process.stdout.write(JSON.stringify({ orders }));
