import { proveCycles } from '../harness/prove-cycles.js';

proveCycles('thin');
