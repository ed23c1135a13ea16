import { Module } from '@nestjs/common';

import { MediaModule } from './media/media.module.js';
import { PeopleModule } from './people/people.module.js';
import { TemplatesModule } from './templates/templates.module.js';

@Module({ imports: [PeopleModule, MediaModule, TemplatesModule] })
export class MessagesModule {}
