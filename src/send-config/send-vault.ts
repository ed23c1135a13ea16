import { type SecretBinding, SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { SealedColumns } from '../database/sealed-columns.js';
import type { SendConfig } from './send-config.entity.js';

/** Seals the settings of a strategy to their row and opens them again. */
@Injectable()
export class SendVault implements OnModuleInit {
  constructor(
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
  ) {}

  onModuleInit(): void {
    const column = { table: 'send_config', idColumn: 'appid', column: 'settings' };
    this.sealed.register({ ...column, binding: settingsBinding });
  }

  seal(appid: string, settings: object): string {
    return this.secrets.seal(JSON.stringify(settings), settingsBinding(appid));
  }

  open({ appid, settings }: Pick<SendConfig, 'appid' | 'settings'>): object {
    return JSON.parse(this.secrets.open(settings, settingsBinding(appid))) as object;
  }
}

function settingsBinding(appid: string): SecretBinding {
  return { owner: `send_config:${appid}`, field: 'settings' };
}
