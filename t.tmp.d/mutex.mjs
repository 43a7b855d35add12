export const setup = () => ({ w: new Int32Array(new SharedArrayBuffer(256)) });
function body({ w }) {
  let c = Atomics.compareExchange(w, 0, 0, 1);
  if (c !== 0) {
    do {
      if (c === 2 || Atomics.compareExchange(w, 0, 1, 2) !== 0) Atomics.wait(w, 0, 2);
    } while ((c = Atomics.compareExchange(w, 0, 0, 2)) !== 0);
  }
  w[4]++;
  if (Atomics.sub(w, 0, 1) !== 1) { Atomics.store(w, 0, 0); Atomics.notify(w, 0, 1); }
}
const n = Number(process.env.N ?? 2);
export const threads = Array(n).fill(body);
export const check = ({ w }) => w[4] === n;
