import { ProcessRole } from './common/process-role.js';
import { runService } from './run-service.js';

/** The service: pages, API, WeChat's pushes, and all the work unless Redis brings that to workers. */
await runService(new ProcessRole('main'));
