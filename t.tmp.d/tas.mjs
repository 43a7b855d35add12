export const setup = () => ({ w: new Int32Array(new SharedArrayBuffer(256)) });
function body({ w }) {
  for (;;) {
    
    if (Atomics.compareExchange(w, 0, 0, 1) === 0) break;
  }
  const seen = Atomics.load(w, 1);
  Atomics.store(w, 1, seen + 1);
  Atomics.store(w, 0, 0);
}
const n = Number(process.env.N ?? 2);
export const threads = Array(n).fill(body);
export const check = ({ w }) => w[1] === n;
